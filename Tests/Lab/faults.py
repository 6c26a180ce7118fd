# SPDX-License-Identifier: Apache-2.0
"""A change with injected faults, and checks of the state in force after each."""

import copy
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from balancing import HERE, PYTHON, lost
from configured import Configured, member, settings
from installed import SERVICE_POOL, installed
from lab import VIP4
from results import report

HOSTS = ["b1", "b2", "b3", "b4"]


def some(numbers, count):
    """All of them, or so many spread over them."""
    numbers = list(numbers)
    if len(numbers) <= count:
        return numbers
    return [numbers[index * (len(numbers) - 1) // (count - 1)] for index in range(count)]


def first():
    one = settings(HOSTS[:3])
    one["services"].append({"name": "old", "vips": ["10.100.0.8"], "ports": ["80/tcp"], "pool": "web"})
    one["services"].append({"name": "moves", "vips": ["10.100.0.10"], "ports": ["83/tcp"], "pool": "web"})
    one["pools"]["gone"] = {"backends": [member("b2")]}
    one["limits"]["backends"] = 1024
    return one


def second(one):
    """Two configurations so different that the plan between them has steps of every kind."""
    other = copy.deepcopy(one)
    del other["pools"]["gone"]
    other["pools"]["web"]["backends"] = [member("b1", weight=50), member("b2"), member("b4")]
    other["pools"]["more"] = {"backends": [member("b3"), member("b4")]}
    other["pools"]["web"]["settle"] = "1h"
    other["services"][0]["affinity"] = {"learn": "40s", "mode": "all"}
    # The one that the probes are for; and one of whose record nearly every word changes.
    other["services"][1]["pool"] = other["services"][3]["pool"] = "more"
    other["services"][3]["affinity"] = {
        "mode": "all", "learn": "30s", "udp_idle": "20s", "tcp_idle": "50m", "on_gone": "reset"}
    other["services"][2] = {"name": "new", "vips": ["10.100.0.9"], "ports": ["81/tcp", "82/udp"], "pool": "more"}
    other["pools"]["fresh"] = {"backends": [], "table_size": 251}
    return other


def renamed(name, address):
    return ("fresh/any", "any") if name.startswith("fresh/") else (name, address)


class Faults(Configured):
    """Changes from one configuration to the other with injected faults, under probes, and counts the results."""

    def __init__(self, *options):
        super().__init__(first(), len(HOSTS), *options)
        self.counts = dict.fromkeys(
            ("points", "old", "new", "partly", "between", "killed", "reported", "unnoticed"), 0)

    def __enter__(self):
        super().__enter__()
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self):
        self.one = self.settings
        self.other = second(self.one)
        self._changes = 0
        # What leaves and comes back has its places now.
        for _ in range(2):
            self.change()
            self.sluice("config", "reload", "--wait")
            self.after = self.state()
            self.reload(self.one)
        self.before = self.state()
        self._sinks = {host: self.start(host, PYTHON, HERE / "udp_sink.py", VIP4, 9000) for host in HOSTS}
        for sink in self._sinks.values():
            assert sink.stdout.readline().strip() == "ready", sink.stderr.read()
        self._prober = self.start("client", PYTHON, HERE / "udp_probe.py", VIP4, 9000, 2000, 3600)

    def state(self):
        return installed(self.pins / "sluiced", renamed)

    def change(self):
        """Where the next change leads: the other configuration, with a backend in it that there never was."""
        self._changes += 1
        wanted = copy.deepcopy(self.other)
        address = f"10.0.{13 + self._changes // 200}.{20 + self._changes % 200}"
        wanted["pools"]["fresh"]["backends"] = [{"name": f"x{self._changes}", "address": address}]
        self.configuration.write_text(json.dumps(wanted))

    def reset(self):
        """Back to where a change begins, without faults."""
        self.reload(self.one)
        found = self.state()
        assert found == self.before, difference(found, self.before)

    def judge(self, point):
        """Checks that each table, service and backend in force is either the old or the new one.

        The record of a service takes several stores; what is between them is counted.
        """
        found = self.state()
        mixed = [
            name for name in found.keys() | self.before.keys() | self.after.keys()
            if found.get(name) not in (self.before.get(name), self.after.get(name))]
        between = [name for name in mixed if name.startswith("service ") and self.is_on_its_way(name, found)]
        self.counts["between"] += len(between)
        wrong = [
            (name, self.before.get(name), found.get(name), self.after.get(name)) for name in mixed
            if name not in between]
        assert not wrong, f"{point}: neither old nor new: {wrong}"
        kind = "new" if found == self.after else "old" if found == self.before else "partly"
        self.counts[kind] += 1
        return kind

    def is_on_its_way(self, name, found):
        """Whether a service's packets go to the pool they went to, and each word is old or new: the pool comes last."""
        old, now, new = self.before.get(name), found.get(name), self.after.get(name)
        return (
            None not in (old, now, new) and now[SERVICE_POOL] == old[SERVICE_POOL]
            and all(word in pair for word, pair in zip(now, zip(old, new))))

    def finish(self, point):
        """The next try ends in the new state, whole, and the API says the same."""
        self.sluice("config", "reload", "--wait")
        found = self.state()
        assert found == self.after, f"{point}: after the next try: {difference(found, self.after)}"
        status = self.status()
        # What a fault left half done is no other process's damage.
        wrong = [alarm for alarm in status["alarms"] if alarm["code"] in ("not-applied", "maps-damaged")]
        assert not wrong, wrong
        assert {f"table {row['name']}" for row in status["pools"]} == {key for key in found if key[:6] == "table "}
        rows = self.rows()
        ready = {f"backend web/{name}" for name, row in rows.items() if row["state"] != "leaving"}
        assert ready == {key for key in found if key.startswith("backend web/")}, (ready, found)

    def attempt(self, point, is_once=False):
        """One reload that may fail by an injected fault. Its report must be true, and a failure must be rolled back at once."""
        self.counts["points"] += 1
        self.change()
        done = self.sluice("config", "reload", "--wait", check=False)
        if not Path(f"/proc/{self.daemon_pid}").exists() or self.is_ended():
            self.counts["killed"] += 1
            self.judge(point)
            self.kill_remains()
            self.start_daemon()
            assert self.state() == self.after, f"{point}: a restart: {difference(self.state(), self.after)}"
        elif done.returncode != 0:
            self.counts["reported"] += 1
            kind = self.judge(point)
            assert not is_once or kind != "partly" or self.is_whole_soon(), (
                f"{point}: not taken back: {difference(self.state(), self.before)}\n{self.log()}")
        else:
            self.counts["unnoticed"] += 1
            assert self.judge(point) == "new", f"{point}: success was reported"

    def is_whole_soon(self):
        """The daemon's own retry, after some seconds, may be running."""
        deadline = time.monotonic() + 3
        while self.state() not in (self.before, self.after) and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.state() in (self.before, self.after)

    def log(self):
        return "\n".join((self.run_directory / "sluiced.log").read_text().splitlines()[-12:])

    def is_ended(self):
        stat = Path(f"/proc/{self.daemon_pid}/stat")
        deadline = time.monotonic() + 0.3
        while stat.exists() and time.monotonic() < deadline:
            if stat.read_text().rsplit(")", 1)[1].split()[0] in "ZX":
                return True
            time.sleep(0.02)
        return not stat.exists()

    def kill_remains(self):
        for child in self._processes:
            if child.pid == self.daemon_pid:
                child.wait(10)

    def report(self, what):
        self._prober.send_signal(signal.SIGTERM)
        sent = json.loads(self._prober.communicate(timeout=30)[0])
        time.sleep(0.3)
        received = {host: json.loads(sink.communicate("", timeout=30)[0]) for host, sink in self._sinks.items()}
        gone = lost(sent, received)
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items() if name != "points")
        report(
            f"{what}: {self.counts['points']} faults, {sent['sent']} probes", f"0 mixed, {gone} lost",
            "0 mixed, 0 lost", detail=f"then in force: {counts}")
        assert gone == 0 and sent["errors"] == 0


def difference(found, wanted):
    names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return [(name, found.get(name), wanted.get(name)) for name in names]


class Tracer:
    """strace on the daemon, with bpf() calls made to fail or to kill. Counts per thread, from its beginning."""

    def __init__(self, lab, injection=None):
        self._file = lab.run_directory / "strace"
        command = ["strace", "-f", "-e", "trace=bpf", "-o", self._file, "-p", lab.daemon_pid]
        command += ["-e", f"inject=bpf:{injection}"] if injection else []
        self._process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        line = self._process.stderr.readline()
        assert "attached" in line, line + self._process.stderr.read()
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.communicate(timeout=10)
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self.injected = sum("(INJECTED)" in line for line in lines)
        threads = [line.split()[0] for line in lines if "bpf(" in line]
        self.calls = max((threads.count(thread) for thread in set(threads)), default=0)


class environment:
    """Variables that processes started inside it get."""

    def __init__(self, **variables):
        self._variables = variables

    def __enter__(self):
        os.environ.update(self._variables)

    def __exit__(self, *_):
        for name in self._variables:
            del os.environ[name]
