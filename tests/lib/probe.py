#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Send one kind of packet to an address and say in one line what came back.

usage: probe.py udp ADDRESS PORT [--from-port N] [--from ADDRESS] [--count N] [--timeout S]
                                   [--no-checksum] [--in-order]
       probe.py tcp ADDRESS PORT [--from-port N] [--from ADDRESS] [--timeout S]
       probe.py dns ADDRESS HEX  [--timeout S]

Prints one of
    answers 1 2 3               UDP: numbered datagrams that an echo server sent back; sorted, but
                                with --in-order as they came: nothing promises UDP an order while
                                packets change between two ways
    connected                   TCP
    icmp 3 13 100.96.0.1        an ICMP error about our packet: type, code, who sent it
    reset                       TCP: refused by a reset
    bytes HEX                   DNS: the answer
    timeout
The ICMP error is read from a raw socket, so that its source and code are seen as they are. The exit
status is 0 for the first two and for bytes, else 1.
"""
import argparse
import select
import socket
import struct
import sys
import time


SO_NO_CHECK = 11  # asm-generic/socket.h: UDP over IPv4 without checksum


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class IcmpErrors:
    """ICMP errors that quote a packet to @target."""

    def __init__(self, target):
        self.family = family_of(target)
        self.target = socket.inet_pton(self.family, target)
        proto = socket.IPPROTO_ICMP if self.family == socket.AF_INET else socket.IPPROTO_ICMPV6
        self.sock = socket.socket(self.family, socket.SOCK_RAW, proto)
        self.sock.setblocking(False)

    def fileno(self):
        return self.sock.fileno()

    def read(self):
        """One error as text, or None if the packet is something else."""
        packet, source = self.sock.recvfrom(65536)
        if self.family == socket.AF_INET:
            message = packet[(packet[0] & 15) * 4 :]
            errors, target_at, header = (3, 11, 12), 16, 20
        else:
            message = packet
            errors, target_at, header = (1, 2, 3, 4), 24, 40
        quoted = message[8:]
        if len(quoted) < header or message[0] not in errors:
            return None
        if quoted[target_at : target_at + len(self.target)] != self.target:
            return None
        return f"icmp {message[0]} {message[1]} {source[0]}"


def client_socket(args, kind):
    sock = socket.socket(family_of(args.address), kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if args.from_port or args.source:
        any_address = "::" if sock.family == socket.AF_INET6 else "0.0.0.0"
        sock.bind((args.source or any_address, args.from_port))
    sock.setblocking(False)
    return sock


def events(sockets, deadline):
    while (left := deadline - time.monotonic()) > 0:
        yield from select.select(sockets, [], [], left)[0]


def probe_udp(args, deadline):
    errors = IcmpErrors(args.address)
    sock = client_socket(args, socket.SOCK_DGRAM)
    if args.no_checksum:
        sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    for number in range(1, args.count + 1):
        sock.sendto(str(number).encode(), (args.address, args.port))
    answers = []
    for ready in events([sock, errors], deadline):
        if ready is sock:
            answers.append(sock.recv(64).decode())
            if len(answers) == args.count:
                break
        elif (text := errors.read()) is not None:
            return text, 1
    if not args.in_order:
        answers.sort(key=int)
    return ("answers " + " ".join(answers), 0) if answers else ("timeout", 1)


def probe_tcp(args, deadline):
    errors = IcmpErrors(args.address)
    sock = client_socket(args, socket.SOCK_STREAM)
    sock.connect_ex((args.address, args.port))
    reset = False
    while (left := deadline - time.monotonic()) > 0:
        readable, writable, _ = select.select([errors], [] if reset else [sock], [], left)
        if readable and (text := errors.read()) is not None:
            return text, 1
        if writable:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                return "connected", 0
            # Reset, or an ICMP error that the raw socket is about to show.
            reset, deadline = True, min(deadline, time.monotonic() + 0.3)
    return ("reset" if reset else "timeout"), 1


def probe_dns(args, deadline):
    sock = client_socket(args, socket.SOCK_DGRAM)
    sock.connect((args.address, 53))
    sock.send(bytes.fromhex(args.port))
    for _ in events([sock], deadline):
        return "bytes " + sock.recv(65536).hex(), 0
    return "timeout", 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("kind", choices=("udp", "tcp", "dns"))
    parser.add_argument("address")
    parser.add_argument("port", help="port, or the message in hex digits")
    parser.add_argument("--from-port", type=int, default=0)
    parser.add_argument("--from", dest="source", default="")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--no-checksum", action="store_true")
    parser.add_argument("--in-order", action="store_true")
    parser.add_argument("--timeout", type=float, default=10)
    args = parser.parse_args()
    if args.kind != "dns":
        args.port = int(args.port)
    probe = {"udp": probe_udp, "tcp": probe_tcp, "dns": probe_dns}[args.kind]
    text, status = probe(args, time.monotonic() + args.timeout)
    print(text)
    sys.exit(status)


if __name__ == "__main__":
    main()
