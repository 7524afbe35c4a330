#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Ask DNS once for each of many names, connect to each at once, and say how long it took.

usage: fresh.py [--timeout S] [--port N] [--family 4|6|both] [--every S] NAME...

An application as it should be: it asks for the name once, takes the first address, connects, sends a
request, and waits for the first byte; all names at the same time, or one after another has begun
(--every). It does not retry: what gets lost is the kernel's to send again (or the edge's). With both,
every other name is asked for by IPv6. An address as the name is connected to without a question.

Prints a line for each name when it has ended:

    NAME OUTCOME SECONDS CLIENT STARTED

OUTCOME is ok, refused, unreachable, prohibited, dns, timeout, or the error's name. SECONDS is the time
from the question to the first byte, CLIENT the address that the server has seen (or -), STARTED the
time of the question (in seconds since 1970). The exit status is 0 if all are ok.
"""
import argparse
import concurrent.futures
import errno
import socket
import sys
import time

OUTCOMES = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.EACCES: "prohibited",
    errno.ETIMEDOUT: "timeout",
}
REQUEST = b"GET /who HTTP/1.0\r\n\r\n"


def read_all(sock):
    """What the server says, and the time of its first byte."""
    text = sock.recv(4096)
    first = time.monotonic()
    while part := sock.recv(4096):
        text += part
    return text.decode().split(), first


def connect(name, family, args):
    """One name: (outcome, time of the end or the first byte, client)."""
    try:
        address = socket.getaddrinfo(name, args.port, family, socket.SOCK_STREAM)[0][4]
    except socket.gaierror:
        return "dns", time.monotonic(), "-"
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(args.timeout)
        try:
            sock.connect(address)
            sock.sendall(REQUEST)
            words, first = read_all(sock)
            return ("ok", first, words[-2]) if words else ("closed", first, "-")
        except socket.timeout:
            outcome = "timeout"
        except OSError as error:
            outcome = OUTCOMES.get(error.errno, errno.errorcode.get(error.errno, "error"))
    return outcome, time.monotonic(), "-"


def measure(index, name, family, args):
    time.sleep(index * args.every)
    started, start = time.time(), time.monotonic()
    outcome, end, client = connect(name, family, args)
    # One write a line: print would let another thread's come between the text and its end.
    sys.stdout.write(f"{name} {outcome} {end - start:.3f} {client} {started:.3f}\n")
    sys.stdout.flush()
    return outcome


def families(args):
    both = (socket.AF_INET, socket.AF_INET6)
    wanted = {"4": both[:1], "6": both[1:], "both": both}[args.family]
    return [wanted[i % len(wanted)] for i in range(len(args.names))]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--family", choices=("4", "6", "both"), default="both")
    parser.add_argument("--every", type=float, default=0)
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()
    with concurrent.futures.ThreadPoolExecutor(len(args.names)) as pool:
        jobs = zip(range(len(args.names)), args.names, families(args))
        outcomes = list(pool.map(lambda job: measure(*job, args), jobs))
    sys.exit(0 if all(outcome == "ok" for outcome in outcomes) else 1)


if __name__ == "__main__":
    main()
