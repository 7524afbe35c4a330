#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A control socket with canned replies, to test the command line without a daemon.

fake_daemon.py SOCKET REQUESTS

Appends every request to the file REQUESTS, one JSON object a line. A monitor gets two events; while
the file SOCKET.stay exists its connection stays open, and nobody else is served.
"""
import json
import os
import socket
import sys
import time

V6 = "2001:db8:1111:2222:3333:4444:5555:%x"


def domain(name, state, **more):
    row = {
        "domain": name,
        "resource": "intranet",
        "gateway": "local",
        "state": state,
        "proxy_addresses": ["100.96.0.%d" % i for i in range(1, 5)]
        + [V6 % i for i in range(0xfff1, 0xfff5)],
        "real_addresses": ["198.51.100.10", "2001:db8:2::10"],
        "held_packets": 0,
        "state_age_s": 7440,
        "resends": 1,
    }
    row.update(more)
    return row


DOMAINS = [
    domain("web.corp.example", "confirmed"),
    domain("nx.corp.example", "failed", real_addresses=[]),
    domain("a-rather-long-name.of-a-department.in-the-far-east.corp.example", "pending"),
]

REPLIES = {
    "resource show": [
        {
            "id": "5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10",
            "name": "intranet",
            "address": "*.corp.example",
            "ip_stack": "dual",
            "filters": [{"tcp": 443}, {"tcp": "8000-8100"}, "icmp"] + [{"udp": i} for i in range(1, 25)],
            "gateways": ["local"],
        },
    ],
    "client show": [
        {
            "name": "lan",
            "prefixes": ["192.0.2.0/24", "2001:db8:1::/64"],
            "scope": "local",
            "sessions": 3,
            "sessions_max": 65536,
        },
    ],
    "grant show": [
        {"client": "lan", "resource": "intranet", "expires": None, "state": "valid", "source": "config"},
        {"client": "lan", "resource": "old", "expires": "2026-01-01T00:00:00Z", "state": "expired", "source": "cli"},
    ],
    "gateway show": [{"name": "local", "address": None, "state": "up", "domains": 3}],
    "config show": {"interfaces": [{"name": "lan0", "mode": "auto"}], "bpffs": "/nowhere/bpf", "state": "/nowhere/state"},
    "domain refresh": None,
    "grant add": None,
    "grant del": None,
    "session flush": {"flushed": 3},
    "prog attach": {"dev": "lan0", "mode": "generic", "note": "the driver has no native XDP"},
    "prog detach": None,
    "version": {"version": "9.9.9", "abi": 1},
}

EVENTS = [
    {"time": "2026-11-22T11:00:00.000Z", "event": "domain", "domain": "web.corp.example", "state": "confirmed"},
    {"time": "2026-11-22T11:00:01.000Z", "event": "refused", "reason": "filtered", "packets": 7},
]


def answer(command, args):
    if command == "domain show":
        rows = [row for row in DOMAINS if args.get("name", row["domain"]) == row["domain"]]
        if not rows:
            return {"ok": False, "error": "no domain '%s'" % args["name"]}
        return {"ok": True, "result": rows}
    if command in REPLIES:
        return {"ok": True, "result": REPLIES[command]}
    return {"ok": False, "error": "'%s' is not a command of this daemon" % command}


def send(stream, value):
    stream.write(json.dumps(value) + "\n")
    stream.flush()


def serve(connection, requests):
    with connection, connection.makefile("rw") as stream:
        for line in stream:
            request = json.loads(line)
            requests.write(json.dumps(request, sort_keys=True) + "\n")
            requests.flush()
            args = request.get("args") or {}
            if request["command"] == "monitor":
                send(stream, {"ok": True, "result": None})
                for event in EVENTS:
                    send(stream, event)
                if os.path.exists(sys.argv[1] + ".stay"):
                    time.sleep(60)
                return
            send(stream, answer(request["command"], args))


def main():
    with socket.socket(socket.AF_UNIX) as listener, open(sys.argv[2], "a", encoding="utf-8") as requests:
        listener.bind(sys.argv[1])
        listener.listen()
        while True:
            try:
                serve(listener.accept()[0], requests)
            except (BrokenPipeError, ConnectionResetError):
                pass


main()
