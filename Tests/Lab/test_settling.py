# SPDX-License-Identifier: Apache-2.0
"""Slots become stable again after a change, the flow table empties, and no connection breaks."""

import time

from configured import Configured, settings
from lab import VIP4, VIP6
from results import report
from sizes import size
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3"]
SETTLE = 10
# The daemon sweeps every ten seconds: what is settled, next time what is stable.
TWO_SWEEPS = 24
# A flow that ended is remembered for 60 s.
FORGOTTEN_AFTER = SETTLE + 60 + TWO_SWEEPS + 10


def changed_slots(lab):
    return next(row["changed_slots"] for row in lab.status()["pools"] if row["name"] == "web")


def wait_until_settled(lab):
    """Seconds until every slot is stable and the flow table empty."""
    started = time.monotonic()
    while (state := (changed_slots(lab), lab.status()["flows_used"])) != (0, 0):
        assert time.monotonic() < started + FORGOTTEN_AFTER, f"slots not stable, flow entries: {state}"
        time.sleep(1)
    return time.monotonic() - started


def test_slots_settle_and_the_flow_table_empties_while_connections_come_and_go():
    seed = size("SEED", 7)
    wanted = settings(HOSTS, {"udp_idle": "5s"}, pool={"settle": f"{SETTLE}s"}, flows=262144)
    with Configured(wanted, len(HOSTS)) as lab:
        long = Traffic(lab, HOSTS, [VIP4, VIP6], seed, downloads=60, idle=60)
        short = Traffic(lab, [], [VIP4, VIP6], seed, rate=size("SETTLING_RATE", 50), lives=(0.0, 1.0, 3.0))
        time.sleep(2)

        def weigh(weight):
            lab.sluice("backend", "set", "web/b3", "--weight", weight)
            assert changed_slots(lab) > 0

        def last(seconds):
            """No connection is silent for longer than `settle`: that is where memory ends."""
            for _ in range(int(seconds / 3)):
                long.ping_idle()
                time.sleep(3)

        weigh(30)
        changed = changed_slots(lab)
        last(SETTLE + TWO_SWEEPS)
        # Those of which long connections live on other backends than the slot's. Now they change again.
        settling = changed_slots(lab)
        weigh(300)
        last(SETTLE + 4)
        connections = long.stop_client()
        broken = judge(connections).broken
        assert not broken, f"{len(broken)} of {len(connections)} long connections broke: {broken[:10]}"
        took = wait_until_settled(lab)
        connections += short.stop_client()
        long.stop_servers()

    judgement = judge(connections)
    report(
        f"{changed} slots changed, {settling} of them still settling {SETTLE + TWO_SWEEPS} s later and changed again,"
        f" settle {SETTLE} s, {judgement.total} connections",
        f"{len(judgement.broken)} broken; all slots stable, 0 entries {took:.0f} s after the last long connection",
        "0 broken; all slots stable, 0 entries", seed, judgement)
    assert 0 < settling < changed, "no slot was settling when it changed again, or none was stable before"
    assert not judgement.broken, judgement.examples()
