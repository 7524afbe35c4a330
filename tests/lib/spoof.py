#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Send UDP datagrams over IPv4 with whatever source, as Ethernet frames: what no socket would send.

usage: spoof.py INTERFACE DESTINATION_MAC SOURCE:PORT DESTINATION:PORT [COUNT]
"""
import socket
import struct
import sys


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def endpoint(text):
    addr, port = text.rsplit(":", 1)
    return socket.inet_aton(addr), int(port)


def datagram(source, destination, payload):
    (src, sport), (dst, dport) = source, destination
    # Without a UDP checksum: RFC 768 permits it.
    udp = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    ip = [0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0, src, dst]
    ip[7] = checksum(struct.pack("!BBHHHBBH4s4s", *ip))
    return struct.pack("!BBHHHBBH4s4s", *ip) + udp


def main():
    interface, mac, source, destination = sys.argv[1:5]
    count = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    packet = datagram(endpoint(source), endpoint(destination), b"spoofed")
    to = (interface, 0x0800, 0, 0, bytes.fromhex(mac.replace(":", "")))
    for _ in range(count):
        s.sendto(packet, to)


main()
