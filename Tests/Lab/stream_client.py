#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Long connections to VIPs, and how each ended. The other end is stream_server.py.

First line of the input, JSON: vips, ports, and
  downloads  how many run at any time; one that breaks is followed by another
  idle       connections that say nothing until they are asked to
  rate       new short connections a second, each living one of `lives` (seconds), with an exchange at its end
Then commands: "ping": every idle connection has an exchange. "stop": nothing new; downloads are ended and must be
whole, short connections come to their end, idle ones have an exchange and are closed; then the output, JSON, a row for
each connection: kind, family, local port, backend, started, connected, ended (seconds of the monotonic clock), outcome.
"""

import errno
import heapq
import itertools
import json
import os
import random
import select
import socket
import sys
import time

PATIENCE = 10


class Connection:
    """One connection: greeting, then pings or a download, then the end."""

    def __init__(self, load, kind, vip, port):
        self.load, self.kind, self.vip = load, kind, vip
        self.backend = self.connected = self.outcome = self.ended = None
        self.received, self.tail = 0, b""
        self.awaits = True
        self.started = self.heard = time.monotonic()
        self.socket = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = load.bind(self.socket)
        self.socket.connect_ex((vip, port))

    def row(self):
        return [self.kind, 6 if ":" in self.vip else 4, self.port, self.backend, self.started, self.connected,
                self.ended, self.outcome]

    def readable(self):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self.finish(type(error).__name__)
            return
        self.heard = time.monotonic()
        if self.backend is None and data:
            name, _, data = data.partition(b"\n")
            self.backend, self.connected, self.awaits = name.decode(), self.heard, False
            self.begin()
        elif not data:
            self.finish("ok" if self.kind == "download" and self.is_whole() else "closed by the peer")
        if data and self.kind == "download":
            self.received, self.tail = self.received + len(data), (self.tail + data)[-20:]
        elif data:
            self.answered()

    def is_whole(self):
        """Whether a download is complete."""
        _, separator, sent = self.tail.rpartition(b"\n")
        return separator and self.received == int(sent) + len(sent) + 1

    def begin(self):
        if self.kind == "download":
            self.awaits = True
            self.send(b"d")
        elif self.kind == "short":
            self.load.later(random.choice(self.load.lives), self.ping)
        if self.load.stopping:
            self.stop()

    def stop(self):
        if self.backend is not None and self.kind == "download":
            self.send(b"e")
        elif self.kind == "idle":
            self.ping()

    def ping(self):
        if self.outcome is None and self.backend is not None and not self.awaits:
            self.awaits, self.heard = True, time.monotonic()
            self.send(b"p")

    def answered(self):
        self.awaits = False
        if self.kind == "short" or self.load.stopping:
            self.finish("ok")

    def send(self, data):
        try:
            self.socket.send(data)
        except OSError as error:
            self.finish(type(error).__name__)

    def finish(self, outcome):
        if self.outcome is None:
            self.outcome, self.ended = outcome, time.monotonic()
            self.load.finished(self)
            self.socket.close()


class Load:
    def __init__(self, plan):
        self.lives, self.rate = plan["lives"], plan["rate"]
        self.ports = itertools.cycle(range(2000, 65000))
        for _ in range(random.randrange(60000)):
            next(self.ports)
        self.doors = itertools.cycle([(vip, port) for port in plan["ports"] for vip in plan["vips"]])
        self.poll = select.epoll()
        self.open, self.rows, self.timers, self.order = {}, [], [], itertools.count()
        self.stopping = False
        for kind in ["download"] * plan["downloads"] + ["idle"] * plan["idle"]:
            self.later(next(self.order) / 1000, lambda kind=kind: self.connect(kind))

    def connect(self, kind):
        connection = Connection(self, kind, *next(self.doors))
        self.open[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN)

    def bind(self, connection):
        """Each connection has a port of its own: one that follows upon another with its port may inherit from it."""
        while True:
            try:
                connection.bind(("", next(self.ports)))
                return connection.getsockname()[1]
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise

    def later(self, seconds, action):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.order), action))

    def finished(self, connection):
        del self.open[connection.socket.fileno()]
        self.poll.unregister(connection.socket)
        self.rows.append(connection.row())
        if connection.kind == "download" and not self.stopping:
            self.later(0.05, lambda: None if self.stopping else self.connect("download"))

    def obey(self):
        words = os.read(sys.stdin.fileno(), 4096).decode().split() or ["stop"]
        if "stop" in words:
            self.stopping = True
            self.poll.unregister(sys.stdin)
        for connection in list(self.open.values()):
            if self.stopping:
                connection.stop()
            elif connection.kind == "idle":
                connection.ping()

    def give_up_on_the_silent(self):
        now = time.monotonic()
        for connection in list(self.open.values()):
            if connection.awaits and now - connection.heard > PATIENCE:
                connection.finish("silence")
        self.later(0.5, self.give_up_on_the_silent)

    def start_short(self):
        if not self.stopping:
            self.connect("short")
            self.next_short = max(self.next_short + 1 / self.rate, time.monotonic() - 1)
            self.later(self.next_short - time.monotonic(), self.start_short)

    def run(self):
        self.give_up_on_the_silent()
        self.next_short = time.monotonic() + 0.5
        if self.rate:
            self.later(0.5, self.start_short)
        self.poll.register(sys.stdin, select.EPOLLIN | select.EPOLLHUP)
        print("ready", flush=True)
        while self.open or self.timers and not self.stopping:
            for number, _ in self.poll.poll(max(0, self.timers[0][0] - time.monotonic())):
                if number in self.open:
                    self.open[number].readable()
                elif number == sys.stdin.fileno():
                    self.obey()
            while self.timers and self.timers[0][0] <= time.monotonic():
                heapq.heappop(self.timers)[2]()
        json.dump(self.rows, sys.stdout)


if __name__ == "__main__":
    plan = json.loads(sys.stdin.readline())
    random.seed(plan["seed"])
    Load(plan).run()
