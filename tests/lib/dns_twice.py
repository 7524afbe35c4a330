# SPDX-License-Identifier: BSD-2-Clause
"""Ask the same DNS questions by UDP and by TCP, and compare the answers.

By TCP it is always the daemon that answers; by UDP it may be the XDP program. Whoever it is, the
bytes are to be the same: types, EDNS, flags, case, and messages with a byte changed.

dns_twice.py SERVER NAMES COUNT SEED; NAMES by commas. Prints "same N" or the first difference.
"""
import random
import socket
import struct
import sys

TYPES = [1, 1, 28, 28, 65, 64]
PTR_TYPES = [12, 12, 12, 1]


def types_of(name):
    return PTR_TYPES if name.endswith(".arpa") else TYPES


def question(rng, name):
    labels = b""
    for label in name.split("."):
        text = "".join(rng.choice((c.upper(), c.lower())) for c in label).encode()
        labels += bytes([len(text)]) + text
    flags = rng.choice((0, 0x0100, 0x0110, 0x0120, 0x0010, 0x0130))
    opt = b""
    if rng.random() < 0.6:
        options = rng.choice((b"", b"\0\x0a\0\x08" + rng.randbytes(8), b"\0\x0c\0\0"))
        opt = b"\0" + struct.pack("!HHBBHH", 41, rng.choice((0, 512, 1232, 4096)), 0, 0,
                                  rng.choice((0, 0x8000)), len(options)) + options
    head = struct.pack("!HHHHHH", rng.randrange(65536), flags, 1, 0, 0, 1 if opt else 0)
    message = bytearray(head + labels + b"\0" + struct.pack("!HH", rng.choice(types_of(name)), 1) + opt)
    if rng.random() < 0.2:  # not what it was: both are to make the same of it
        places = list(range(2, 12)) + list(range(12 + len(labels) + 3, len(message)))
        message[rng.choice(places)] = rng.randrange(256)
    return bytes(message)


def ask(sock, message):
    sock.send(message)
    try:
        while True:
            answer = sock.recv(4096)
            if answer[:2] == message[:2]:
                return answer
    except TimeoutError:
        return None


def open_socket(server):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.connect((server, 53))
    sock.settimeout(0.3)
    return sock


def warm(sock, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    ask(sock, struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" +
        struct.pack("!HH", types_of(name)[0], 1))


def tcp_ask(server, message):
    with socket.create_connection((server, 53), 3) as sock:
        sock.sendall(struct.pack("!H", len(message)) + message)
        data = b""
        while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
            more = sock.recv(4096)
            if not more:
                return None
            data += more
        return data[2:]


def ask_both(sock, server, name, message):
    """The answers by UDP and by TCP, at a moment at which they do not change (a cached TTL does)."""
    for _ in range(50):
        warm(sock, name)
        if ask(sock, message) is None:
            return None, None
        # TCP is always the daemon's.
        before = tcp_ask(server, message)
        by_udp = ask(sock, message)
        if by_udp is not None and before == tcp_ask(server, message):
            return by_udp, before
    return by_udp or b"", before


def main():
    server, names, count, seed = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]), sys.argv[4]
    rng = random.Random(seed)
    sock = open_socket(server)
    same = 0
    for _ in range(count):
        name = rng.choice(names)
        message = question(rng, name)
        by_udp, by_tcp = ask_both(sock, server, name, message)
        if by_udp != by_tcp:
            print("differ", message.hex(), by_udp.hex(), by_tcp.hex() if by_tcp else None)
            return
        same += by_udp is not None
    print("same", same)


main()
