#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Ask a DNS server for many names of a zone at once, and say how many answers came in what time.

    domains-ask.py SERVER ZONE FROM TO [--sample N] [--window N]
    domains-ask.py SERVER ZONE FROM TO --pause SECONDS

Asks for A of nFROM.ZONE to n(TO-1).ZONE, or for N different ones drawn at random, with at most
so many questions in flight. What is not answered in a second is asked again. Prints
"ANSWERS SECONDS REPEATED REFUSED". With --pause: asks one after the other as long as that, and
prints the longest waits for an answer.
"""
import argparse
import random
import select
import socket
import struct
import time

AGAIN_S = 1.0


def question(number, ident, zone):
    label = b"n%d" % number
    return (struct.pack("!6H", ident, 0x0100, 1, 0, 0, 0) + bytes([len(label)]) + label + zone
            + b"\0\0\1\0\1")


def longest_pauses(sock, args, zone):
    waits = []
    end = time.monotonic() + args.pause
    while time.monotonic() < end:
        ident = len(waits) & 0xffff
        begin = time.monotonic()
        sock.send(question(random.randrange(args.first, args.end), ident, zone))
        while select.select([sock], [], [], 60)[0]:
            if struct.unpack_from("!H", sock.recv(2048))[0] == ident:
                break
        waits.append(time.monotonic() - begin)
        time.sleep(0.005)
    longest = " ".join("%.0f" % (w * 1e3) for w in sorted(waits)[-5:])
    print("%d questions, longest waits (ms): %s" % (len(waits), longest))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("zone")
    parser.add_argument("first", type=int)
    parser.add_argument("end", type=int)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--pause", type=float)
    args = parser.parse_args()

    zone = b"".join(bytes([len(p)]) + p.encode() for p in args.zone.split("."))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((args.server, 53))
    if args.pause:
        longest_pauses(sock, args, zone)
        return
    names = range(args.first, args.end)
    if args.sample:
        names = random.sample(names, args.sample)
    todo = iter(names)
    sock.setblocking(False)
    flying = {}  # id: (number, when)
    free = list(range(args.window))
    answers = repeated = refused = 0
    begin = time.monotonic()
    while True:
        while free:
            number = next(todo, None)
            if number is None:
                break
            ident = free.pop()
            flying[ident] = (number, time.monotonic())
            sock.send(question(number, ident, zone))
        if not flying:
            break
        if not select.select([sock], [], [], AGAIN_S / 4)[0]:
            now = time.monotonic()
            for ident, (number, when) in flying.items():
                if now - when > AGAIN_S:
                    flying[ident] = (number, now)
                    sock.send(question(number, ident, zone))
                    repeated += 1
            continue
        try:
            while True:
                reply = sock.recv(2048)
                ident, flags = struct.unpack_from("!HH", reply)
                if flying.pop(ident, None) is not None:
                    free.append(ident)
                    answers += 1
                    refused += flags & 15 != 0
        except BlockingIOError:
            pass
    print(answers, round(time.monotonic() - begin, 3), repeated, refused)


if __name__ == "__main__":
    main()
