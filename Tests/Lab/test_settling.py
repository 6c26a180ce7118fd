# SPDX-License-Identifier: Apache-2.0
"""A change is forgotten in time: its slots become stable again, the flow table empties, and nobody notices."""

import time

from configured import Configured, settings
from lab import VIP4, VIP6
from results import report
from sizes import size
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3"]
SETTLE = 10
# A flow that ended is remembered for 60 s; the sweep comes now and then.
FORGOTTEN_AFTER = SETTLE + 60 + 30


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
        last(SETTLE + 4)
        # Settling, not stable: long connections live on backends that the slots have no more. Now they change again.
        settling = changed_slots(lab)
        weigh(300)
        last(SETTLE + 4)
        weigh(100)
        last(SETTLE + 4)
        connections = long.stop_client()
        took = wait_until_settled(lab)
        # Stable slots that change once more, and settle.
        weigh(50)
        took_again = wait_until_settled(lab)
        connections += short.stop_client()
        long.stop_servers()

    judgement = judge(connections)
    report(
        f"4 changes, 3 of them of slots that settle ({settling} slots settling), settle {SETTLE} s,"
        f" {judgement.total} connections",
        f"{len(judgement.broken)} broken; all slots stable, 0 entries {took:.0f} and {took_again:.0f} s later",
        "0 broken; all slots stable, 0 entries", seed, judgement)
    assert settling > 0, "no slot was settling when it changed"
    assert not judgement.broken, judgement.examples()
