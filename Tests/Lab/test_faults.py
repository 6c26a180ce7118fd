# SPDX-License-Identifier: Apache-2.0
"""A change that fails or is killed at any point leaves the old or the new state, says so, and is done by the next try.

The daemon is the real one. bpf() calls fail, or are the last thing it does, by strace's injection; between stores into
mapped memory, which are no calls, it ends itself at named points (`FaultPoint`, debug builds only). What is in force is
read from the pinned maps without its help. LAB_FAULT_POINTS says how many points of each kind are tried, at most all.
"""

import time

from faults import Faults, Tracer, difference, environment, some
from sizes import size

POINTS = size("FAULT_POINTS", 8)


def count_calls(lab):
    """The number of bpf() calls of one thread during the change."""
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
            "among-flips", "before-bucket",
            # Seven services get another record.
            *(f"among-service:{number}" for number in some(range(1, 8), max(2, POINTS // 4))),
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
