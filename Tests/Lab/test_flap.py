# SPDX-License-Identifier: Apache-2.0
"""A backend that was taken down by a false alarm, or removed, and comes back still has the connections that survived."""

import time

from checked import Checked, check, checked_settings
from configured import Configured, member, settings
from lab import VIP4, VIP6
from results import report
from scheduling import alone
from servers import Servers
from sizes import size
from traffic import Outages, Traffic, judge

HOSTS = ["b1", "b2", "b3"]


def judge_flap(what, lab, seed, seconds, down, up):
    """Calls `down` and `up`, which return when b2 is out of use and in use again, under traffic."""
    outages = Outages()
    traffic = Traffic(
        lab, HOSTS, [VIP4, VIP6], seed, downloads=60, idle=size("FLAP_IDLE", 200), rate=20, lives=(0.0, 1.0))
    time.sleep(2)
    alarm = time.monotonic()
    outages.begin("b2")
    down()
    outages.end("b2")
    gone = time.monotonic()
    # So that not all slots of b2 come back to it: what stays with others needs the memory of b2.
    lab.sluice("backend", "set", "web/b3", "--weight", 200)
    time.sleep(seconds)
    up()
    back = time.monotonic()
    time.sleep(2)
    connections = traffic.stop()

    flapped = [each for each in connections if each.backend == "b2" and each.started < alarm]
    cut = [each for each in flapped if not each.is_whole and each.ended <= back + 0.1]
    survivors = [each for each in flapped if each not in cut]
    broken = [each for each in survivors if not each.is_whole]
    others = judge([each for each in connections if each not in flapped], outages)
    kinds = {kind: sum(each.kind == kind for each in survivors) for kind in ("idle", "download")}
    report(
        f"{what}: a backend with {len(flapped)} connections down for {back - gone:.0f} s, {len(survivors)} survive",
        f"{len(broken)} broken afterwards", "0 broken afterwards", seed,
        f"{len(cut)} cut while it was down; survivors {kinds}; connections of others: {others}")
    assert kinds["idle"] > 0, "no idle connection was there to survive"
    assert not broken, broken[:10]
    assert not others.broken, others.examples()


@alone
def test_0_surviving_connections_break_after_a_flap():
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        judge_flap(
            "maint", lab, size("SEED", 3), size("FLAP_SECONDS", 5.0),
            lambda: lab.sluice("backend", "maint", "web/b2", "--yes"),
            lambda: lab.sluice("backend", "undrain", "web/b2"))


# What is asked for is not what serves. A refusal is seen at once; a busy machine is no alarm.
QUESTION = check("tcp", port=7099, vips=[VIP4], interval="200ms", timeout="2s")


def open_gates(lab):
    """The port that is asked for, on every host; returns when all are up."""
    gates = {host: Servers(lab, host, ("", "")) for host in HOSTS}
    for gate in gates.values():
        gate.plant("gate", "7099/tcp:open")
    lab.await_states(dict.fromkeys(HOSTS, "up"))
    return gates


@alone
def test_0_surviving_connections_break_after_a_false_alarm_of_a_health_check():
    with Checked(checked_settings(HOSTS, QUESTION), len(HOSTS)) as lab:
        gates = open_gates(lab)

        def close():
            gates["b2"].stop("gate")
            lab.await_states({"b2": "down"})
            # The plan follows the verdict.
            time.sleep(0.3)

        def open_again():
            gates["b2"].plant("gate", "7099/tcp:open")
            lab.await_states({"b2": "up"})

        judge_flap("a check's false alarm", lab, size("SEED", 26), size("FLAP_SECONDS", 5.0), close, open_again)
        changes = [(event["object"], event["new"]) for event in lab.events("health") if event["new"] in ("up", "down")]
    # All up, and then one change to and fro.
    assert changes[-2:] == [("web/b2", "down"), ("web/b2", "up")] and len(changes) == len(HOSTS) + 2, changes


def test_0_connections_break_when_a_backend_that_leaves_comes_back():
    """As after a mistaken configuration. The backend is checked again, keeps its health and serves."""
    with Checked(checked_settings(HOSTS, QUESTION), len(HOSTS)) as lab:
        open_gates(lab)
        traffic = Traffic(lab, HOSTS, [VIP4, VIP6], size("SEED", 27), downloads=60, rate=20)
        time.sleep(1.5)
        good = lab.settings
        without = lab.settings
        without["pools"]["web"]["backends"].remove(member("b2"))
        for restarts in (False, True):
            lab.reload(without)
            if restarts:
                lab.kill_daemon()
                lab.start_daemon()
            time.sleep(1)
            assert lab.rows()["b2"]["state"] == "leaving", lab.rows()["b2"]
            lab.reload(good)
            time.sleep(1)
        judgement = judge(traffic.stop())
    report(
        "a backend removed and put back, with and without a restart between", f"{len(judgement.broken)} broken",
        "0 broken", detail=judgement)
    assert not judgement.broken, judgement.examples()
