# SPDX-License-Identifier: Apache-2.0
"""What signals do while the daemon starts."""

import os
import signal
import time
from pathlib import Path

import starting
from balancing import Balancer
from results import report

# Nothing is sent there.
SILENT = "{ name: silent, address: 10.0.2.77, weight: 0 }"


class Slow(Balancer):
    """A start takes two seconds: it waits for a next hop that never answers."""

    def __enter__(self):
        super().__enter__()
        try:
            self.edit_configuration(
                "{ name: b3, address: 10.0.13.2 }",
                f"{{ name: b3, address: 10.0.13.2, weight: 40 }}\n      - {SILENT}")
            self.sluice("config", "reload", "--wait")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def weight(self, backend):
        rows = self.api("GET", "/v1/pools/web/backends")[1]
        return next(row["weight"] for row in rows if row["name"] == backend)


def await_that(is_met, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not is_met():
        assert time.monotonic() < deadline, f"{what}: not after {seconds} s"
        time.sleep(0.002)


def catches(process, number):
    """Whether a process has a handler for a signal: its main thread's mask, as the kernel reports it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    mask = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


def test_a_reload_that_is_asked_for_during_the_start_comes_after_it():
    with Slow() as lab:
        for weight, moment in ((41, "at its beginning"), (42, "in its midst"), (43, "in its midst")):
            lab.kill_daemon()
            before = len(starting.log(lab))
            process = starting.spawned(lab)
            if moment == "at its beginning":
                await_that(lambda: catches(process, signal.SIGHUP), "a handler for SIGHUP")
            else:
                await_that(lambda: "adopted the running maps" in starting.log(lab)[before:], "the start")
            told = starting.log(lab)[before:]
            assert "attached" not in told, "the start was over already:\n" + told
            lab.edit_configuration(f"weight: {weight - 1} }}", f"weight: {weight} }}")
            for _ in range(3):
                os.kill(process.pid, signal.SIGHUP)
            lab.wait_for_daemon()
            assert process.poll() is None, starting.log(lab)[before:]
            await_that(lambda: lab.weight("b3") == weight, f"the reload that was asked for {moment}")
            assert lab.requests(20, 4)["failed"] == 0
        report("3 starts during which a reload is asked for", "3 daemons run on, with the new file", "all")


def test_sigterm_during_the_start_ends_it():
    with Slow() as lab:
        lab.kill_daemon()
        before = len(starting.log(lab))
        process = starting.spawned(lab)
        await_that(lambda: "adopted the running maps" in starting.log(lab)[before:], "the start")
        asked = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        process.wait(10)
        assert "attached" not in starting.log(lab)[before:], "it ended after its start"
        assert lab.requests(50, 8)["failed"] == 0
        report("SIGTERM during a start", f"ended after {time.monotonic() - asked:.1f} s, forwarding goes on", "ends")


def test_signals_that_mean_nothing_do_not_end_the_daemon():
    with Balancer() as lab:
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
            os.kill(lab.daemon_pid, number)
        time.sleep(0.3)
        assert lab.status()["node"] == "lab" and lab.requests(10, 2)["failed"] == 0
