#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The lab's servers on the far side: HTTP, and TCP and UDP echo, on every address given.

usage: lab-servers.py ADDRESS...

HTTP (ports 80 and 8000) answers with the address that was reached and the address it was
reached from, so that a test can see both ends of a translation:

    /            one line for people
    /who         "SERVER CLIENT PORT", for scripts
    /bytes/N     N bytes

Echo listens on port 7, and on port 9007 for tests of port filters.
"""
import http.server
import selectors
import socket
import socketserver
import sys
import threading

HTTP_PORTS = (80, 8000)
ECHO_PORTS = (7, 9007)
CHUNK = bytes(range(256)) * 256


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self):
        server, client = self.connection.getsockname(), self.client_address
        if self.path == "/":
            self.send_text(f"hello from {server[0]} port {server[1]} to {client[0]}\n")
        elif self.path == "/who":
            self.send_text(f"{server[0]} {client[0]} {client[1]}\n")
        elif self.path.startswith("/bytes/") and self.path[7:].isdecimal():
            self.send_bytes(int(self.path[7:]))
        else:
            self.send_error(404)

    def send_head(self, length, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def send_text(self, text):
        self.send_head(len(text), "text/plain")
        self.wfile.write(text.encode())

    def send_bytes(self, length):
        self.send_head(length, "application/octet-stream")
        for _ in range(length // len(CHUNK)):
            self.wfile.write(CHUNK)
        self.wfile.write(CHUNK[: length % len(CHUNK)])


class HttpServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, port):
        self.address_family = family_of(address)
        super().__init__((address, port), Handler)


class TcpEcho(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address, port):
        self.address_family = family_of(address)
        super().__init__((address, port), TcpEchoHandler)


class TcpEchoHandler(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except ConnectionError:
            pass  # a reset is a way to end a session, too


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve_udp_echo(addresses):
    ready = selectors.DefaultSelector()
    for address in addresses:
        for port in ECHO_PORTS:
            sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
            sock.bind((address, port))
            ready.register(sock, selectors.EVENT_READ)
    threading.Thread(target=udp_echo_loop, args=(ready,), daemon=True).start()


def udp_echo_loop(ready):
    while True:
        for key, _ in ready.select():
            try:
                data, peer = key.fileobj.recvfrom(65536)
                key.fileobj.sendto(data, peer)
            except OSError:
                pass  # an ICMP error for an earlier answer


def main():
    addresses = sys.argv[1:]
    if not addresses:
        sys.exit(__doc__)
    servers = [HttpServer(a, p) for a in addresses for p in HTTP_PORTS]
    servers += [TcpEcho(a, p) for a in addresses for p in ECHO_PORTS]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    serve_udp_echo(addresses)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
