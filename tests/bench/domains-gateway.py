#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A gateway that confirms whatever it is asked: docs/control-protocol.md, unsealed, without NAT.

    domains-gateway.py ADDRESS

SIGUSR1: says the last STATUSES confirmations again, in random order, ROUNDS times, no faster than RATE.
Prints how many AssignedIps it has confirmed when it is ended.
"""
import collections
import json
import random
import signal
import socket
import sys
import time

PORT = 4700
SO_RCVBUFFORCE = 33  # not in Python 3.11
ASSIGNED_IPS, DOMAIN_STATUS, PROBE, PROBE_REPLY = 0, 1, 3, 4
STATUSES, ROUNDS, RATE, CHUNK = 5000, 4, 5000, 50


def reply_to(message):
    event = message[0]
    if event == PROBE:
        return bytes([PROBE_REPLY]) + message[1:]
    if event != ASSIGNED_IPS:
        return None
    asked = json.loads(message[8:])
    status = {"resource": asked["resource"], "domain": asked["domain"], "status": "Active"}
    return bytes([DOMAIN_STATUS, 0, 0, 0]) + message[4:8] + json.dumps(status).encode()


def say_again(sock, said):
    for _ in range(ROUNDS):
        todo = random.sample(said, len(said))
        for i in range(0, len(todo), CHUNK):
            for status, peer in todo[i:i + CHUNK]:
                sock.sendto(status, peer)
            time.sleep(CHUNK / RATE)


def main():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    sock.bind((sys.argv[1], PORT))
    said = collections.deque(maxlen=STATUSES)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGUSR1, lambda *_: say_again(sock, list(said)))
    confirmed = 0
    try:
        while True:
            message, peer = sock.recvfrom(2048)
            reply = reply_to(message)
            if reply:
                sock.sendto(reply, peer)
            if message[0] == ASSIGNED_IPS:
                confirmed += 1
                said.append((reply, peer))
    finally:
        print(confirmed)


if __name__ == "__main__":
    main()
