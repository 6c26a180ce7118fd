# SPDX-License-Identifier: Apache-2.0
"""A lab with the daemon running, and the operations that tests use."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from lab import BIN, ROOT, Lab, run

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
BACKENDS = ("b1", "b2", "b3")
CROSS4, CROSS6 = "10.100.0.2", "fd00:100::2"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Balancer(Lab):
    """The topology with sluiced on the balancer, started as a user would start it."""

    # Where the daemon runs.
    host = "balancer"

    def __init__(self, *options):
        super().__init__("--sluiced", *options)

    @property
    def socket(self):
        return self.run_directory / "control.sock"

    @property
    def configuration(self):
        return self.run_directory / "sluiced.yaml"

    @property
    def daemon_pid(self):
        return int((self.run_directory / "sluiced.pid").read_text())

    def api(self, method, path, body=None):
        """Status and decoded answer of a request on the control socket."""
        connection = UnixConnection(self.socket)
        connection.request(method, path, body=json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text

    def sluice(self, *arguments, **options):
        """The CLI."""
        return run([BIN / "sluice", *arguments, "--socket", self.socket], **options)

    def status(self):
        return self.api("GET", "/v1/status")[1]

    def digest(self, pool="web"):
        return next(row["table_digest"] for row in self.status()["pools"] if row["name"] == pool)

    def verdict_counts(self):
        return {row["verdict"]: row["packets"] for row in self.status()["verdicts"]}

    def kill_daemon(self, with_signal=signal.SIGKILL):
        """Ends the daemon, and makes sure that it is gone."""
        process = Path(f"/proc/{self.daemon_pid}")
        assert (process / "comm").read_text().strip() == "sluiced", "not the daemon's process id"
        os.kill(self.daemon_pid, with_signal)
        for child in self._processes:
            if child.pid == self.daemon_pid:
                child.wait(10)
        deadline = time.monotonic() + 10
        while process.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert not process.exists(), "the daemon did not end"

    def start_daemon(self, *prefix, options=()):
        """Starts the daemon again, by another command if need be, and waits until it answers."""
        with open(self.run_directory / "sluiced.log", "a") as log:
            process = subprocess.Popen(
                self._inside(self.host, [*prefix, str(BIN / "sluiced"), "--config", str(self.configuration), *options]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        self._processes.append(process)
        (self.run_directory / "sluiced.pid").write_text(str(process.pid))
        self.wait_for_daemon()
        return process

    def wait_for_daemon(self):
        deadline = time.monotonic() + 15
        while True:
            try:
                if self.api("GET", "/v1/status")[0] == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError("the daemon does not answer:\n" + (self.run_directory / "sluiced.log").read_text())
            time.sleep(0.02)

    def edit_configuration(self, before, after):
        text = self.configuration.read_text()
        assert before in text, f"{before!r} is not in the configuration"
        # In one step: a daemon that reads it meanwhile reads the old or the new one.
        new = self.configuration.with_name(self.configuration.name + ".new")
        new.write_text(text.replace(before, after, 1))
        new.replace(self.configuration)

    def requests(self, count, concurrency, vip="10.100.0.1", port=80):
        """Connections through the VIP: {"ok", "failed", "by": backend -> count, "errors"}."""
        done = self.on(
            "client", PYTHON, HERE / "http_client.py", vip, port, count, concurrency, timeout=120)
        return json.loads(done.stdout)

    def probe(self, seconds, during, rate=10_000, vip="10.100.0.1", port=9000):
        """Runs `during` while probes flow. Returns how many were sent, and how many reached which backend."""
        sinks = {host: self.start(host, PYTHON, HERE / "udp_sink.py", vip, port) for host in BACKENDS}
        for sink in sinks.values():
            assert sink.stdout.readline().strip() == "ready", sink.stderr.read()
        sender = self.start("client", PYTHON, HERE / "udp_probe.py", vip, port, rate, seconds)
        during()
        sent = json.loads(sender.communicate(timeout=seconds * 4 + 30)[0])
        time.sleep(0.3)
        received = {host: json.loads(sink.communicate("", timeout=30)[0]) for host, sink in sinks.items()}
        return sent, received


def lost(sent, received):
    seen = set()
    for answer in received.values():
        seen.update(answer["seen"])
    return sent["sent"] - len(seen)


def download(lab, vip, path, *options, **keywords):
    host = f"[{vip}]" if ":" in vip else vip
    return lab.on(
        "client", "curl", "-s", "-S", "--fail", "--max-time", "90", "-o", "/dev/null",
        "-w", "%{http_code} %{size_download} %{size_upload} %header{x-backend}", *options, f"http://{host}{path}",
        timeout=100, **keywords)
