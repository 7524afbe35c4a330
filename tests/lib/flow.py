#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""One long TCP connection to an echo server, and what becomes of it.

usage: flow.py ADDRESS [--port N] [--every S] [--timeout S]

Sends a numbered line every so often and waits for it to come back before the next one. Prints

    connected PORT              our port
    N SECONDS                   line N is back, and how long it took
    ended WORD                  reset, closed, timeout, unreachable, prohibited, or the error's name

and ends with the connection, which it does not end itself. The kernel gives up sending after S seconds
(--timeout, TCP_USER_TIMEOUT).
"""
import argparse
import errno
import socket
import time

WORDS = {
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.EACCES: "prohibited",
}


def exchange(sock, number):
    """Send a line and have it back; whether the server is still there."""
    line = f"{number}\n".encode()
    sock.sendall(line)
    got = b""
    while len(got) < len(line):
        part = sock.recv(len(line) - len(got))
        if not part:
            return False
        got += part
    return got == line


def run(args):
    family = socket.AF_INET6 if ":" in args.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(args.timeout * 1000))
    sock.connect((args.address, args.port))
    print("connected", sock.getsockname()[1], flush=True)
    number = 1
    while True:
        start = time.monotonic()
        if not exchange(sock, number):
            return "closed"
        print(number, f"{time.monotonic() - start:.3f}", flush=True)
        number += 1
        time.sleep(args.every)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=7)
    parser.add_argument("--every", type=float, default=0.1)
    parser.add_argument("--timeout", type=float, default=30)
    args = parser.parse_args()
    try:
        word = run(args)
    except OSError as error:
        word = WORDS.get(error.errno, errno.errorcode.get(error.errno, "error"))
    print("ended", word, flush=True)


if __name__ == "__main__":
    main()
