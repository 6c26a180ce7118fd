# SPDX-License-Identifier: Apache-2.0
"""Failover while something beside the control plane is slow: how long a dead backend stays in the table."""

import http.client
import os
import signal
import socket
import statistics
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from balancing import UnixConnection
from checked import Checked, check, checked_settings
from installed import owners
from results import report

HOSTS = ["b1", "b2", "b3", "b4", "b5"]
# What a disturbance may add to the time of a failover.
MORE = 1.5
# A failover that has not happened by then counts as never.
NEVER = 15.0


def stall_settings(**more):
    """Five backends that are checked, on a pool whose health may take away what it wants."""
    return checked_settings(HOSTS, check("tcp", port=80)) | more


def with_many_backends(count):
    """As stall_settings(), with a second pool of so many backends that are not checked."""
    wanted = stall_settings()
    wanted["pools"]["many"] = {
        "table_size": 16381,
        "backends": [
            {"name": f"backend-number-{number}", "address": f"10.0.{20 + number // 250}.{1 + number % 250}"}
            for number in range(count)]}
    wanted["services"].append({"name": "many", "vips": ["10.100.0.9"], "ports": ["80/tcp"], "pool": "many"})
    wanted["limits"] |= {"backends": 4096}
    return wanted


class Stalled(Checked):
    """A lab whose daemon is disturbed. Each failover ends the life of another backend."""

    def __init__(self, wanted=None, *options):
        super().__init__(wanted or stall_settings(), len(HOSTS), *options)
        self.alive = list(HOSTS)

    @property
    def status_socket(self):
        return self.run_directory / "status.sock"

    def failover(self, limit=NEVER):
        """Takes a backend's host off the network. Returns the seconds until no slot of the table names it, at most
        `limit`."""
        victim = self.alive.pop()
        assert victim in self.owners(), f"{victim} is in no slot"
        self.on(victim, "ip", "link", "set", "eth0", "down")
        died = time.monotonic()
        while victim in self.owners():
            if time.monotonic() > died + limit:
                return limit
            time.sleep(0.02)
        return time.monotonic() - died

    def owners(self):
        """Backends that slots of pool `web` name, read from the kernel and not from the daemon."""
        return set(owners(self.pins / "sluiced")["web"])

    def await_ready(self):
        """Waits until all backends that live are healthy and in the table."""
        self.await_states(dict.fromkeys(self.alive, "up"))
        deadline = time.monotonic() + 10
        while not self.owners() >= set(self.alive):
            assert time.monotonic() < deadline, self.owners()
            time.sleep(0.05)

    def compare_failover(self, fault, disturb, seconds=1.0, more=MORE):
        """Reports a failover before and during a disturbance, and requires that the latter adds at most `more`.

        disturb: a context in which the disturbance is at work; it is given `seconds` to take effect.
        Returns the longest time of a GET /v1/status during the disturbance.
        """
        self.await_ready()
        before = self.failover()
        with disturb:
            time.sleep(seconds)
            with Reader(self.status_socket) as reader:
                during = self.failover()
        seen = f"{during:.2f} s" if during < NEVER else f"not within {NEVER:.0f} s"
        report(fault, f"failover {before:.2f} s before, {seen} during; longest GET {reader.longest:.2f} s",
               f"at most {more} s more")
        assert before < 4, before
        assert during <= before + more, (before, during)
        return reader.longest

    def end(self):
        """Sends SIGTERM. Returns the seconds until the process is gone, at most 90."""
        pid, asked = self.daemon_pid, time.monotonic()
        os.kill(pid, signal.SIGTERM)
        while is_alive(pid) and time.monotonic() < asked + 90:
            time.sleep(0.02)
        return time.monotonic() - asked


def is_alive(pid):
    """Whether a process runs: not where it has ended and waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Reader:
    """A context that asks for the status again and again. `longest`: seconds that an answer took, or has taken so far."""

    def __init__(self, path):
        self._path, self._ends, self._begun = path, threading.Event(), None
        self.longest = 0.0

    def __enter__(self):
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join(0.5)
        if self._begun is not None:
            self.longest = max(self.longest, time.monotonic() - self._begun)

    def _ask(self):
        while not self._ends.wait(0.1):
            self._begun = time.monotonic()
            try:
                ask(self._path, "GET", "/v1/status")
            except (OSError, http.client.HTTPException):
                pass
            self.longest = max(self.longest, time.monotonic() - self._begun)
            self._begun = None


def ask(path, method, target, body=None, timeout=90):
    """Status and text of an answer."""
    connection = UnixConnection(path)
    connection.timeout = timeout
    connection.request(method, target, body=body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@contextmanager
def repeated(body, threads=1):
    """Calls `body` again and again on threads of their own until the context ends. What it raises is ignored."""
    ends = threading.Event()

    def work():
        while not ends.is_set():
            try:
                body()
            except (OSError, ValueError, http.client.HTTPException):
                # The lab is taken down meanwhile, or the daemon has closed the connection.
                time.sleep(0.05)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        ends.set()


@contextmanager
def connected(path, count):
    """Idle connections to a socket; those that the daemon does not take are left out."""
    sockets = []
    for _ in range(count):
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        try:
            connection.connect(str(path))
            sockets.append(connection)
        except OSError:
            connection.close()
    try:
        yield sockets
    finally:
        for connection in sockets:
            connection.close()


def cpu_seconds(pid):
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def median_seconds(body, count=7):
    """The median time that a call takes."""
    took = []
    for _ in range(count):
        began = time.monotonic()
        body()
        took.append(time.monotonic() - began)
    return statistics.median(took)
