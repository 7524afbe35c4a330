#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""UDP datagrams in fragments, in whatever order.

usage: fragments.py echo ADDRESS [--port 7] [--size N] [--order forward|reverse|shuffle]
       fragments.py send SOURCE SPORT ADDRESS DPORT [--size N] [--order ...]
       fragments.py whole ADDRESS [--port 7] [--size N]
       fragments.py wait ADDRESS [--port 7] [--size N]

echo sends one datagram and waits until it has come back; whole does so in one packet with DF clear. send sends one with the source given. wait
opens a flow with a small datagram, prints its own port, and waits for one of N bytes. Exit status 0
if what was waited for has come, whole and unchanged.
"""
import argparse
import ipaddress
import random
import socket
import struct
import sys

PART = 512  # bytes of a fragment behind the IP header
WAIT_S = 20
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0  # <linux/in.h>
RAW = 255  # IPPROTO_RAW: we bring the IP header, in both families


def pattern(size):
    return bytes((i * 7 + i // 251) & 255 for i in range(size))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(src, dst, sport, dport, payload):
    length = 8 + len(payload)
    pseudo = src.packed + dst.packed + struct.pack("!II", length, 17)
    header = struct.pack("!HHHH", sport, dport, length, 0)
    value = checksum(pseudo + header + payload) or 0xFFFF
    return header[:6] + struct.pack("!H", value) + payload


def fragment(src, dst, ident, off, more, part):
    if src.version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(part), ident & 0xFFFF,
                           off // 8 | (0x2000 if more else 0), 64, 17, 0)
        head += src.packed + dst.packed
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + part
    return (struct.pack("!IHBB", 6 << 28, 8 + len(part), 44, 64) + src.packed + dst.packed
            + struct.pack("!BBHI", 17, 0, off | more, ident) + part)


def fragments(src, dst, sport, dport, args):
    data = udp(src, dst, sport, dport, pattern(args.size))
    ident = random.getrandbits(31) | 1
    offs = list(range(0, len(data), PART))
    parts = [fragment(src, dst, ident, off, off != offs[-1], data[off:off + PART]) for off in offs]
    if args.order == "reverse":
        parts.reverse()
    elif args.order == "shuffle":
        while parts[0][-PART:] == data[:PART]:
            random.shuffle(parts)
    return parts


def send(src, dst, sport, dport, args):
    family = socket.AF_INET if src.version == 4 else socket.AF_INET6
    raw = socket.socket(family, socket.SOCK_RAW, RAW)
    for part in fragments(src, dst, sport, dport, args):
        raw.sendto(part, (str(dst), 0))


def flow(address, port):
    """A UDP socket connected to the address, and its own address and port."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(WAIT_S)
    sock.connect((str(address), port))
    return sock, ipaddress.ip_address(sock.getsockname()[0]), sock.getsockname()[1]


def echo(args):
    address = ipaddress.ip_address(args.address)
    sock, own, port = flow(address, args.port)
    send(own, address, port, args.port, args)
    return sock.recv(65536) == pattern(args.size)


def whole(args):
    sock, _, _ = flow(ipaddress.ip_address(args.address), args.port)
    sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    sock.send(pattern(args.size))
    return sock.recv(65536) == pattern(args.size)


def wait(args):
    sock, _, port = flow(ipaddress.ip_address(args.address), args.port)
    sock.send(b"open")
    if sock.recv(65536) != b"open":
        return False
    print(port, flush=True)
    return sock.recv(65536) == pattern(args.size)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["echo", "send", "whole", "wait"])
    parser.add_argument("address")
    parser.add_argument("more", nargs="*")
    parser.add_argument("--port", type=int, default=7)
    parser.add_argument("--size", type=int, default=3000)
    parser.add_argument("--order", choices=["forward", "reverse", "shuffle"], default="forward")
    args = parser.parse_args()
    try:
        if args.what == "send":
            sport, address, dport = args.more
            send(ipaddress.ip_address(args.address), ipaddress.ip_address(address), int(sport),
                 int(dport), args)
            return 0
        return 0 if {"echo": echo, "whole": whole, "wait": wait}[args.what](args) else 1
    except TimeoutError:
        print("timeout", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
