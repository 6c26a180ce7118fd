# SPDX-License-Identifier: Apache-2.0
"""A change that fails or is killed at any point leaves the old or the new state, says so, and is done by the next try.

The daemon is the real one. bpf() calls fail, or are the last thing it does, by strace's injection; between stores into
mapped memory, which are no calls, it ends itself at named points (`FaultPoint`, debug builds only). What is in force is
read from the pinned maps without its help. LAB_FAULT_POINTS says how many points of each kind are tried, at most all.
"""

import copy
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from balancing import HERE, PYTHON, lost
from configured import Configured, member, settings
from installed import installed
from lab import VIP4
from results import report
from sizes import size

HOSTS = ["b1", "b2", "b3", "b4"]
POINTS = size("FAULT_POINTS", 8)


def some(numbers, count):
    """All of them, or so many spread over them."""
    numbers = list(numbers)
    if len(numbers) <= count:
        return numbers
    return [numbers[index * (len(numbers) - 1) // (count - 1)] for index in range(count)]


def first():
    one = settings(HOSTS[:3])
    one["services"].append({"name": "old", "vips": ["10.100.0.8"], "ports": ["80/tcp"], "pool": "web"})
    one["pools"]["gone"] = {"backends": [member("b2")]}
    one["limits"]["backends"] = 1024
    return one


def second(one):
    """So different that the way from one to the other has steps of every kind."""
    other = copy.deepcopy(one)
    del other["pools"]["gone"]
    other["pools"]["web"]["backends"] = [member("b1", weight=50), member("b2"), member("b4")]
    other["pools"]["more"] = {"backends": [member("b3"), member("b4")]}
    other["services"][0]["affinity"] = {"learn": "40s"}
    other["services"][2] = {"name": "new", "vips": ["10.100.0.9"], "ports": ["81/tcp", "82/udp"], "pool": "more"}
    other["pools"]["fresh"] = {"backends": [], "table_size": 251}
    return other


def renamed(name, address):
    return ("fresh/any", "any") if name.startswith("fresh/") else (name, address)


class Faults(Configured):
    """Goes from one configuration to the other with faults on the way, under probes, and counts what came of it."""

    def __init__(self, *options):
        super().__init__(first(), len(HOSTS), *options)
        self.counts = {"points": 0, "old": 0, "new": 0, "partly": 0, "killed": 0, "reported": 0, "unnoticed": 0}

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
        """Whether what is in force is old or new, each table, service and backend for itself."""
        found = self.state()
        mixed = [
            name for name in found.keys() | self.before.keys() | self.after.keys()
            if found.get(name) not in (self.before.get(name), self.after.get(name))]
        assert not mixed, f"{point}: neither old nor new: {[(name, found.get(name)) for name in mixed]}"
        kind = "new" if found == self.after else "old" if found == self.before else "partly"
        self.counts[kind] += 1
        return kind

    def finish(self, point):
        """The next try ends in the new state, whole, and the API says the same."""
        self.sluice("config", "reload", "--wait")
        found = self.state()
        assert found == self.after, f"{point}: after the next try: {difference(found, self.after)}"
        status = self.status()
        assert not [alarm for alarm in status["alarms"] if alarm["code"] == "not-applied"], status["alarms"]
        assert {f"table {row['name']}" for row in status["pools"]} == {key for key in found if key[:6] == "table "}
        rows = self.rows()
        ready = {f"backend web/{name}" for name, row in rows.items() if row["state"] != "leaving"}
        assert ready == {key for key in found if key.startswith("backend web/")}, (ready, found)

    def attempt(self, point, is_once=False):
        """One reload that a fault may meet. Whatever it says must be true, and what failed once is taken back at once."""
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
        """The daemon's own next try, after some seconds, may just be under way."""
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


def count_calls(lab):
    """bpf() calls of one thread on the way from one configuration to the other."""
    lab.change()
    with Tracer(lab) as tracer:
        lab.sluice("config", "reload", "--wait")
    lab.reset()
    return tracer.calls


def inject(way):
    """Runs `way` (k -> strace's injection) for every k, and each time once more without faults."""
    with Faults() as lab:
        calls = count_calls(lab)
        assert calls >= 20, calls
        met = 0
        for k in some(range(1, calls + 1), POINTS):
            point = way(k)
            with Tracer(lab, point) as tracer:
                lab.attempt(point, is_once="error" in point and "+" not in point)
            met += tracer.injected > 0 or "signal" in point
            lab.finish(point)
            lab.reset()
        assert met >= 0.7 * lab.counts["points"], (met, lab.counts)
        lab.report(f"{calls} calls to bpf() in a change, {way('k')}")


def test_each_bpf_call_of_a_change_fails_once():
    inject(lambda k: f"error=ENOMEM:when={k}")


def test_all_bpf_calls_of_a_change_fail_from_one_on():
    inject(lambda k: f"error=ENOMEM:when={k}+")


def test_each_bpf_call_of_a_change_is_the_daemons_last():
    inject(lambda k: f"signal=SIGKILL:when={k}")


def points_of_apply():
    """The named moments in Forwarder.apply, and which time each is passed."""
    return ["among-slots", "before-flip", "after-flip", "before-backend-name", "before-service-key",
            *(f"among-service:{word}" for word in some(range(1, 9), max(2, POINTS // 4))),
            *(f"after-backend-flag:{number}" for number in range(1, 4)),
            # The first time is the daemon's start.
            "before-verification:2"]


def test_the_daemon_ends_between_two_stores_of_a_change():
    with Faults() as lab:
        points = [*points_of_apply(), "among-slots:2", "after-flip:2", "before-service-key:2"]
        for point in points:
            lab.kill_daemon()
            with environment(SLUICE_FAULT=point):
                lab.start_daemon()
            lab.attempt(point)
            assert lab.counts["killed"] == lab.counts["points"], f"{point} was not passed"
            lab.finish(point)
            lab.reset()
        lab.report(f"ended at {len(points)} places between stores")


def test_a_change_that_the_kernel_refused_is_tried_again():
    with Faults() as lab:
        lab.change()
        with Tracer(lab, "error=ENOMEM:when=20+"):
            done = lab.sluice("config", "reload", "--wait", check=False)
            assert done.returncode != 0 and "ENOMEM" in done.stderr, done
            lab.judge("when=20+")
        begun = time.monotonic()
        while lab.state() != lab.after and time.monotonic() < begun + 25:
            time.sleep(0.2)
        assert lab.state() == lab.after, difference(lab.state(), lab.after)
        assert lab.status()["configuration"]["last_reload_ok"]
        lab.report(f"a refused change came into force {time.monotonic() - begun:.1f} s after the kernel let it")


class environment:
    """Variables that processes started inside it get."""

    def __init__(self, **variables):
        self._variables = variables

    def __enter__(self):
        os.environ.update(self._variables)

    def __exit__(self, *_):
        for name in self._variables:
            del os.environ[name]
