#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The control protocol from outside: see, make and send its messages (docs/control-protocol.md).

usage: control.py watch DEV [--port N]
       control.py make KIND [--generation N] [--resource UUID] [--domain NAME] [--proxy ADDRESS]...
                  [--status WORD] [--key FILE --role edge|gateway [--epochs OWN,PEER] [--sequence N]]
       control.py send SOURCE[:PORT] DESTINATION[:PORT] [--repeat N]

watch prints a line of JSON for each message that passes a device, in either direction: time, source,
source_port, destination, destination_port, event, generation, sealed, domain, status, hex.

make prints the hex digits of one message, of KIND assigned_ips, domain_status, goodbye, probe,
probe_reply, or a number.

send reads datagrams from its input, each a line of hex digits, and sends them as if they came from
SOURCE (IPv4), whoever has that address. With --repeat all of them N times, as fast as it goes.

It shares no code with the daemon: written from the document only.
"""
import argparse
import base64
import hashlib
import ipaddress
import json
import socket
import struct
import sys

EVENTS = ("assigned_ips", "domain_status", "goodbye", "probe", "probe_reply")
SEALED, SEAL_LEN, TAG_LEN = 0x01, 40, 16
LABELS = {"edge": b"fqdnat control edge to gateway", "gateway": b"fqdnat control gateway to edge"}
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6, UDP = 3, 0x0800, 0x86DD, 17
SO_TIMESTAMPNS = 35  # asm-generic/socket.h: when a packet passed, however late it is read


# --- messages ----------------------------------------------------------------------------


def encode(event, generation, payload=b""):
    return struct.pack("!BBHI", event, 0, 0, generation) + payload


def seal(datagram, key, role, epochs, sequence):
    """A datagram with the trailer that the holder of @key in @role would give it."""
    own = hashlib.blake2b(LABELS[role], key=key, digest_size=32).digest()
    body = datagram[:1] + bytes([datagram[1] | SEALED]) + datagram[2:]
    body += struct.pack("!QQQ", *epochs, sequence)
    return body + hashlib.blake2b(body, key=own, digest_size=TAG_LEN).digest()


def read_key(path):
    with open(path, encoding="ascii") as file:
        text = file.read().strip()
    return bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text)


def describe(data):
    """What a datagram says, as a dict."""
    if len(data) < 8:
        return {"event": None, "hex": data.hex()}
    event, flags, _, generation = struct.unpack_from("!BBHI", data)
    payload = data[8:-SEAL_LEN] if flags & SEALED else data[8:]
    try:
        members = json.loads(payload) if payload else {}
    except ValueError:
        members = {}
    return {
        "event": EVENTS[event] if event < len(EVENTS) else event,
        "generation": generation,
        "sealed": bool(flags & SEALED),
        "domain": members.get("domain"),
        "status": members.get("status"),
        "hex": data.hex(),
    }


def make(args):
    if args.kind in ("assigned_ips", "domain_status"):
        members = {"resource": args.resource, "domain": args.domain}
        if args.kind == "assigned_ips":
            members["proxy_ips"] = args.proxy
        else:
            members["status"] = args.status
        payload = json.dumps(members, separators=(",", ":")).encode()
    else:
        payload = b""
    event = EVENTS.index(args.kind) if args.kind in EVENTS else int(args.kind)
    datagram = encode(event, args.generation, payload)
    if args.key:
        epochs = [int(n) for n in args.epochs.split(",")]
        datagram = seal(datagram, read_key(args.key), args.role, epochs, args.sequence)
    print(datagram.hex())


# --- the wire ----------------------------------------------------------------------------


def parse_udp(frame):
    """(source, port, destination, port, payload) of an Ethernet frame, or None."""
    proto = struct.unpack_from("!H", frame, 12)[0]
    packet = frame[14:]
    if proto == ETH_P_IP and len(packet) >= 28 and packet[9] == UDP:
        source, destination, start = packet[12:16], packet[16:20], (packet[0] & 15) * 4
    elif proto == ETH_P_IPV6 and len(packet) >= 48 and packet[6] == UDP:
        source, destination, start = packet[8:24], packet[24:40], 40
    else:
        return None
    from_port, to_port, length = struct.unpack_from("!HHH", packet, start)
    payload = packet[start + 8 : start + length]
    return (
        str(ipaddress.ip_address(source)),
        from_port,
        str(ipaddress.ip_address(destination)),
        to_port,
        payload,
    )


def timestamp(notes):
    seconds, nanoseconds = struct.unpack("qq", notes[0][2])
    return seconds + nanoseconds / 1e9


def watch(args):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.bind((args.dev, ETH_P_ALL))
    print(json.dumps({"event": "ready"}), flush=True)
    while True:
        frame, notes, _, _ = sock.recvmsg(65536, socket.CMSG_SPACE(16))
        seen = parse_udp(frame)
        if seen is None or args.port not in (seen[1], seen[3]):
            continue
        line = {"time": timestamp(notes), "source": seen[0], "source_port": seen[1]}
        line.update(destination=seen[2], destination_port=seen[3], **describe(seen[4]))
        print(json.dumps(line), flush=True)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(source, destination, data):
    """An IPv4 packet with a UDP datagram without a checksum (RFC 768 permits that)."""
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0, 64, UDP, 0,
        socket.inet_aton(source[0]), socket.inet_aton(destination[0]),
    )
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return header + struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0) + data


def endpoint(text):
    address, _, port = text.partition(":")
    return address, int(port or 4700)


def send(args):
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    packets = [
        ip_packet(args.source, args.destination, bytes.fromhex(line)) for line in sys.stdin.read().split()
    ]
    sent = 0
    for _ in range(args.repeat):
        for packet in packets:
            sock.sendto(packet, (args.destination[0], 0))
            sent += 1
    print(sent)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("watch")
    sub.add_argument("dev")
    sub.add_argument("--port", type=int, default=4700)
    sub = commands.add_parser("make")
    sub.add_argument("kind")
    sub.add_argument("--generation", type=int, default=1)
    sub.add_argument("--resource", default="5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10")
    sub.add_argument("--domain", default="web.corp.example")
    sub.add_argument("--proxy", action="append", default=[])
    sub.add_argument("--status", default="Active")
    sub.add_argument("--key")
    sub.add_argument("--role", choices=LABELS, default="edge")
    sub.add_argument("--epochs", default="1,0")
    sub.add_argument("--sequence", type=int, default=1)
    sub = commands.add_parser("send")
    sub.add_argument("source", type=endpoint)
    sub.add_argument("destination", type=endpoint)
    sub.add_argument("--repeat", type=int, default=1)
    args = parser.parse_args()
    {"watch": watch, "make": make, "send": send}[args.command](args)


if __name__ == "__main__":
    main()
