#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Send what no honest sender sends: frames that are broken, cut short, or of unusual kinds.

usage: oddities.py INTERFACE MAC SOURCE4 SOURCE6 DESTINATION4 DESTINATION6 [--mutants N] [--seed N]

A list of oddities, then N mutants of ordinary packets (seeded, so that a run can be repeated). Prints
how many frames were sent; what the kernel refuses to send is left out.
"""
import argparse
import ipaddress
import random
import socket
import struct

ICMP, TCP, UDP, GRE, ESP, ICMP6 = 1, 6, 17, 47, 50, 58


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(src, dst, proto, payload, first=0x45, length=None, frag=0, ttl=64):
    length = 20 + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH4s4s", first, 0, length, 7, frag, ttl, proto, 0, src, dst)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(src, dst, proto, payload, first=0x60, length=None, hops=64):
    length = len(payload) if length is None else length
    return struct.pack("!IHBB16s16s", first << 24, length, proto, hops, src, dst) + payload


def udp(sport=4000, dport=7, data=b"odd", length=None):
    # Without a checksum: RFC 768 permits it in IPv4; in IPv6 it is one more oddity.
    return struct.pack("!HHHH", sport, dport, 8 + len(data) if length is None else length, 0) + data


def tcp(flags, sport=4000, dport=80, offset=5):
    return struct.pack("!HHIIBBHHH", sport, dport, 1, 0, offset << 4, flags, 1000, 0, 0)


def echo(kind, data=b"odd"):
    message = struct.pack("!BBHHH", kind, 0, 0, 77, 1) + data
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def error(kind, code, quoted):
    message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def packets4(src, dst):
    """IPv4 packets that are odd in themselves."""
    good = ip4(src, dst, UDP, udp())
    yield from (good[:n] for n in (1, 19, 20, 24, 27))
    yield ip4(src, dst, UDP, udp(), first=0x44)
    yield ip4(src, dst, UDP, udp(), first=0x4F)
    yield ip4(src, dst, UDP, udp(), first=0x65)
    yield ip4(src, dst, UDP, udp(), length=10)
    yield ip4(src, dst, UDP, udp(), length=1400)
    yield ip4(src, dst, UDP, udp(length=4))
    yield ip4(src, dst, UDP, udp(length=900))
    yield ip4(src, dst, UDP, udp(), ttl=1)
    yield ip4(src, dst, UDP, udp(), ttl=0)
    yield ip4(src, dst, UDP, udp(), frag=0x2000)
    yield ip4(src, dst, UDP, udp(), frag=0x1FFF)
    yield ip4(src, dst, TCP, tcp(0x02)[:12], frag=0x2000)
    yield ip4(src, dst, TCP, tcp(0x02)[8:], frag=1)
    yield ip4(src, dst, TCP, tcp(0x02, offset=4))
    yield ip4(src, dst, TCP, tcp(0x02, offset=15))
    yield from (ip4(src, dst, TCP, tcp(flags)) for flags in (0x00, 0x04, 0x14, 0x11, 0x29, 0x3F))
    yield ip4(src, dst, ICMP, echo(0))
    yield ip4(src, dst, ICMP, echo(13))
    yield ip4(src, dst, ICMP, error(3, 1, good))
    yield ip4(src, dst, ICMP, error(3, 4, good[:24]))
    yield ip4(src, dst, ICMP, error(11, 0, b""))
    yield from (ip4(src, dst, proto, b"\0" * 40) for proto in (GRE, ESP, 0, 255))
    yield ip4(dst, dst, UDP, udp())
    yield ip4(socket.inet_aton("127.0.0.1"), dst, UDP, udp())
    yield ip4(socket.inet_aton("224.0.0.9"), dst, UDP, udp())
    yield ip4(socket.inet_aton("203.0.113.77"), dst, UDP, udp())


def packets6(src, dst):
    """The same for IPv6."""
    good = ip6(src, dst, UDP, udp())
    yield from (good[:n] for n in (1, 39, 40, 44, 47))
    yield ip6(src, dst, UDP, udp(), first=0x40)
    yield ip6(src, dst, UDP, udp(), length=2)
    yield ip6(src, dst, UDP, udp(), length=1400)
    yield ip6(src, dst, UDP, udp())
    yield ip6(src, dst, UDP, udp(), hops=1)
    yield ip6(src, dst, TCP, tcp(0x02, offset=1))
    yield from (ip6(src, dst, TCP, tcp(flags)) for flags in (0x00, 0x04, 0x14, 0x3F))
    # Extension headers: hop-by-hop, routing, destination options, fragments, none, cut short.
    yield ip6(src, dst, 0, bytes((UDP, 0, 1, 4, 0, 0, 0, 0)) + udp())
    yield ip6(src, dst, 0, bytes((UDP, 200, 1, 4, 0, 0, 0, 0)) + udp())
    yield ip6(src, dst, 43, bytes((UDP, 0, 0, 1, 0, 0, 0, 0)) + udp())
    yield ip6(src, dst, 60, bytes((60, 0, 1, 4, 0, 0, 0, 0)) * 20 + udp())
    yield ip6(src, dst, 44, bytes((UDP, 0, 0, 0, 0, 0, 0, 9)) + udp())
    yield ip6(src, dst, 44, bytes((UDP, 0, 0, 1, 0, 0, 0, 9)) + udp())
    yield ip6(src, dst, 44, bytes((UDP, 0, 0, 8, 0, 0, 0, 10)) + udp())
    yield ip6(src, dst, 44, bytes((UDP, 0, 0)))
    yield ip6(src, dst, 59, b"nothing")
    yield ip6(src, dst, ICMP6, error(1, 0, good))
    yield ip6(src, dst, ICMP6, error(2, 0, good[:44]))
    yield ip6(src, dst, ICMP6, echo(129))
    yield from (ip6(src, dst, proto, b"\0" * 40) for proto in (GRE, ESP, 255))
    yield ip6(socket.inet_pton(socket.AF_INET6, "ff02::9"), dst, UDP, udp())
    yield ip6(b"\0" * 16, dst, UDP, udp())


def frames(args):
    mac = bytes.fromhex(args.mac.replace(":", ""))
    own = b"\x02\0\0\0\0\x01"
    src4, dst4 = (ipaddress.ip_address(a).packed for a in (args.source4, args.destination4))
    src6, dst6 = (ipaddress.ip_address(a).packed for a in (args.source6, args.destination6))
    good4, good6 = ip4(src4, dst4, UDP, udp()), ip6(src6, dst6, UDP, udp())

    for packet in packets4(src4, dst4):
        yield mac + own + b"\x08\x00" + packet
    for packet in packets6(src6, dst6):
        yield mac + own + b"\x86\xdd" + packet
    # The frame: VLAN tags, other types, the wrong type, broadcast, group, someone else's.
    for kind in ("8100 0005 0800", "88a8 0005 8100 0006 0800", "8100 0005", "88cc", "0003", "86dd", "0806"):
        yield mac + own + bytes.fromhex(kind) + good4
    for to in (b"\xff" * 6, b"\x01\x00\x5e\x00\x00\x09", b"\x02\0\0\0\0\x02"):
        yield to + own + b"\x08\x00" + good4
        yield to + own + b"\x86\xdd" + good6

    rng = random.Random(args.seed)
    ordinary = [
        b"\x08\x00" + ip4(src4, dst4, UDP, udp()), b"\x86\xdd" + ip6(src6, dst6, UDP, udp()),
        b"\x08\x00" + ip4(src4, dst4, TCP, tcp(2)), b"\x86\xdd" + ip6(src6, dst6, TCP, tcp(2)),
        b"\x08\x00" + ip4(src4, dst4, ICMP, echo(8)), b"\x86\xdd" + ip6(src6, dst6, ICMP6, echo(128)),
    ]
    for _ in range(args.mutants):
        mutant = bytearray(rng.choice(ordinary))
        for _ in range(rng.randint(1, 4)):
            mutant[rng.randrange(len(mutant))] = rng.getrandbits(8)
        yield mac + own + bytes(mutant[:rng.randint(2, len(mutant))] if rng.random() < 0.2 else mutant)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    for word in ("interface", "mac", "source4", "source6", "destination4", "destination6"):
        parser.add_argument(word)
    parser.add_argument("--mutants", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((args.interface, 0))
    sent = 0
    for frame in frames(args):
        try:
            sock.send(frame)
            sent += 1
        except OSError:
            pass  # too short for this kernel, say
    print(sent)


if __name__ == "__main__":
    main()
