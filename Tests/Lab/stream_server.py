#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A backend's server for connections that live long.

    stream_server.py NAME PORT...

Greets every connection with NAME and a line end. Then it does what the client asks for: "p" is answered with "p"; "d"
with a download, 8 blocks of 2048 octets a second, until "e", which is answered with a line end, the number of octets
sent in it, and the end of the stream. A client that closes is closed. Prints "ready"; ends when its input closes.
"""

import select
import socket
import sys
import time

BLOCK, BLOCKS_PER_SECOND = b"d" * 2048, 8


class Server:
    def __init__(self, name, ports):
        self.greeting = name.encode() + b"\n"
        self.poll = select.epoll()
        self.listeners, self.clients, self.downloads = {}, {}, {}
        for port in ports:
            listener = socket.socket(socket.AF_INET6)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::", port))
            listener.listen(4096)
            listener.setblocking(False)
            self.listeners[listener.fileno()] = listener
            self.poll.register(listener, select.EPOLLIN)

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.clients[client.fileno()] = client
            self.poll.register(client, select.EPOLLIN)
            self.send(client, self.greeting)

    def send(self, client, data):
        """How many octets were taken."""
        try:
            return client.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.close(client)
        return 0

    def close(self, client):
        self.clients.pop(client.fileno(), None)
        self.downloads.pop(client.fileno(), None)
        client.close()

    def read(self, client):
        try:
            data = client.recv(256)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close(client)
            return
        if b"p" in data:
            self.send(client, b"p" * len(data))
        else:
            self.downloads.setdefault(client.fileno(), 0)
        if data.endswith(b"e"):
            self.send(client, b"\n%d" % self.downloads[client.fileno()])
            self.close(client)

    def send_blocks(self):
        for number in list(self.downloads):
            taken = self.send(self.clients[number], BLOCK)
            if number in self.downloads:
                self.downloads[number] += taken

    def run(self):
        self.poll.register(sys.stdin, select.EPOLLIN | select.EPOLLHUP)
        print("ready", flush=True)
        due = time.monotonic()
        while True:
            for number, _ in self.poll.poll(max(0, due - time.monotonic())):
                if number in self.listeners:
                    self.accept(self.listeners[number])
                elif number in self.clients:
                    self.read(self.clients[number])
                elif not sys.stdin.readline():
                    return
            if (now := time.monotonic()) >= due:
                self.send_blocks()
                due = max(due + 1 / BLOCKS_PER_SECOND, now)


Server(sys.argv[1], [int(port) for port in sys.argv[2:]]).run()
