# SPDX-License-Identifier: Apache-2.0
"""A backend that was taken down by a false alarm and comes back still has the connections that survived."""

import time

from configured import Configured, settings
from lab import VIP4, VIP6
from results import report
from sizes import size
from traffic import Outages, Traffic, judge

HOSTS = ["b1", "b2", "b3"]


def test_0_surviving_connections_break_after_a_flap():
    seed, down = size("SEED", 3), size("FLAP_SECONDS", 10.0)
    outages = Outages()
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        traffic = Traffic(
            lab, HOSTS, [VIP4, VIP6], seed, downloads=60, idle=size("FLAP_IDLE", 200), rate=20,
            lives=(0.0, 1.0))
        time.sleep(2)
        alarm = time.monotonic()
        outages.begin("b2")
        lab.sluice("backend", "maint", "web/b2", "--yes")
        outages.end("b2")
        # So that not all slots of b2 come back to it: what stays with others needs the memory of b2.
        lab.sluice("backend", "set", "web/b3", "--weight", 200)
        time.sleep(down)
        lab.sluice("backend", "undrain", "web/b2")
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
        f"a backend with {len(flapped)} connections down for {down:.0f} s, {len(survivors)} of them survive",
        f"{len(broken)} broken afterwards", "0 broken afterwards", seed,
        f"{len(cut)} cut while it was down; survivors {kinds}; connections of others: {others}")
    assert kinds["idle"] > 0, "no idle connection was there to survive"
    assert not broken, broken[:10]
    assert not others.broken, others.examples()
