# SPDX-License-Identifier: Apache-2.0
"""New connections that the flow table cannot record: none is reset, and a drain reports that it may get some."""

import time

from configured import Configured, settings
from lab import VIP4
from results import report
from sizes import size
from traffic import HERE, PORTS, PYTHON, Traffic, judge

HOSTS = ["b1", "b2", "b3"]
FLOOD_RATE = 20_000


def start_flood(lab, seconds):
    return lab.start(
        "client", PYTHON, HERE / "flood.py", "syn", VIP4, PORTS[0], int(FLOOD_RATE * seconds), FLOOD_RATE)


def new_connections(lab, seed, seconds, rate):
    traffic = Traffic(lab, HOSTS, [VIP4], seed, rate=rate, lives=(0.0, 0.5))
    time.sleep(seconds)
    return traffic.stop()


def test_on_gone_reset_resets_0_new_connections():
    seed, seconds, rate = size("SEED", 73), size("UNWRITTEN_SECONDS", 4.0), size("UNWRITTEN_RATE", 250)
    for flows, is_flooded in ((1024, False), (65536, True)):
        with Configured(settings(HOSTS, {"on_gone": "reset"}, flows=flows), len(HOSTS)) as lab:
            lab.sluice("backend", "maint", "web/b2", "--yes")
            if is_flooded:
                start_flood(lab, seconds + 3)
                time.sleep(1)
            connections = new_connections(lab, seed, seconds, rate)
            answered = lab.verdict_counts()["answered_reset"]
            table = lab.flow_table()
        judgement = judge(connections)
        report(
            f"{judgement.total} new connections after a backend went, {flows} entries"
            + (f", {FLOOD_RATE} forged SYNs a second" if is_flooded else ""),
            f"{len(judgement.broken)} broken, {answered} answered by a RST", "0, 0", seed, f"{judgement}\n{table}")
        assert judgement.total > 0.8 * rate * seconds
        assert not judgement.broken, judgement.examples()


def test_a_drain_under_a_flood_says_that_new_connections_may_come():
    seed, victim, seconds = size("SEED", 74), "b2", size("UNWRITTEN_SECONDS", 4.0)
    with Configured(settings(HOSTS, pool={"drain": {"quiet": "5s"}}), len(HOSTS)) as lab:
        lab.sluice("backend", "drain", f"web/{victim}")
        calm = lab.api("GET", f"/v1/pools/web/backends/{victim}/drain")[1]
        start_flood(lab, seconds + 4)
        time.sleep(1)
        began = time.monotonic()
        connections = new_connections(lab, seed, seconds, size("UNWRITTEN_RATE", 50))
        time.sleep(max(0, began + 6 - time.monotonic()))
        status = lab.api("GET", f"/v1/pools/web/backends/{victim}/drain")[1]
        told = lab.sluice("backend", "drain", f"web/{victim}", "--wait", "--timeout", "1s", check=False)
    judgement = judge(connections)
    reached = sum(each.backend == victim for each in connections)
    report(
        f"{judgement.total} new connections beside {FLOOD_RATE} forged SYNs a second, {victim} drains",
        f"{reached} went to it, {len(judgement.broken)} broken; the drain tells of {status['unwritten']} packets",
        "shown only, 0; more than 0", seed, told.stdout)
    assert calm["unwritten"] == 0 and status["unwritten"] > 0, (calm, status)
    assert not status["drained"], "the flood may have sent it connections a moment ago"
    assert "could not be remembered" in told.stdout, told.stdout
    assert not judgement.broken, judgement.examples()
