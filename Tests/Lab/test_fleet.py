# SPDX-License-Identifier: Apache-2.0
"""What breaks when a router moves flows from one balancer to another, during a drain and after a backend was added.

Stable slots need nothing: both balancers have the same table. On changed slots a balancer may meet flows that only the
other has seen; docs/affinity.md, "In a fleet", tells which of them break.
"""

import time
from dataclasses import dataclass

from configured import settings
from fleet import Fleet
from lab import VIP4
from sizes import size
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3"]
# Scaled down from 30 s and two hours, as the connections are.
SHORT_LEARN, SETTLE = 3, 60
LIVES = (0.0, 1.0, 4.0, 8.0)


@dataclass
class Event:
    """Something done to the fleet: a change of the tables, or of the routes."""

    what: str
    at: float


class History:
    """A drain, and the backend's return; after each of them flows are moved soon, and again when `learn` is over."""

    def __init__(self, lab):
        self.lab, self.changes, self.moves = lab, [], []

    def change(self, command):
        self.lab.sluice_all("backend", command, "web/b3")
        self.changes.append(Event(command, time.monotonic()))
        digests = self.lab.digests()
        assert len(set(digests.values())) == 1, f"tables differ after {command}: {digests}"

    def move(self, what, **weights):
        self.lab.route_over(**weights)
        self.moves.append(Event(what, time.monotonic()))

    def run(self):
        soon, later = 1, SHORT_LEARN + 3
        time.sleep(4)
        for command, withdrawn in (("drain", {"balancer": 1}), ("undrain", {"balancer2": 1})):
            self.change(command)
            time.sleep(soon)
            self.move(f"{command}: all over {next(iter(withdrawn))}", **withdrawn)
            time.sleep(later - soon)
            self.move(f"{command}: over both again", balancer=1, balancer2=1)
            time.sleep(2)
            self.move(f"{command}: one to three", balancer=1, balancer2=3)
            time.sleep(2)

    def class_of(self, connection):
        """Which flow it is, seen from the last change before it broke, and when it broke."""
        change = [event for event in self.changes if event.at < connection.ended]
        if not change:
            return "before any change"
        age = "older" if connection.started < change[-1].at else "younger"
        when = "within" if connection.ended - change[-1].at <= SHORT_LEARN + 1.5 else "later than"
        return f"{age} than the {change[-1].what}, {when} {SHORT_LEARN} s of it"


def count_what_breaks(affinity):
    seed = size("SEED", 6)
    wanted = settings(HOSTS, affinity, pool={"settle": f"{SETTLE}s"}, flows=262144)
    with Fleet(wanted, len(HOSTS)) as lab:
        traffic = Traffic(
            lab, HOSTS, [VIP4], seed, downloads=size("FLEET_DOWNLOADS", 60), idle=size("FLEET_IDLE", 60),
            rate=size("FLEET_RATE", 100), lives=LIVES)
        history = History(lab)
        history.run()
        connections = traffic.stop()
        carried = lab.forwarded()
    judgement, classes = judge(connections), {}
    for each in judgement.broken:
        classes[history.class_of(each)] = classes.get(history.class_of(each), 0) + 1
    percent = 100 * len(judgement.broken) / judgement.total
    print(f"  seed {seed}, {affinity}, settle {SETTLE} s: {len(history.changes)} changes, {len(history.moves)} moves,"
          f" packets {carried}, digests agree\n    {judgement} ({percent:.2f} %)\n    {classes}", flush=True)
    assert all(count > 1000 for count in carried.values()), carried
    return judgement, classes


def test_a_long_learn_breaks_only_flows_younger_than_the_change():
    _, classes = count_what_breaks({"learn": f"{SETTLE}s"})
    assert all(name.startswith("younger") for name in classes), classes


def test_a_short_learn_breaks_only_younger_flows_soon_and_older_flows_late():
    _, classes = count_what_breaks({"learn": f"{SHORT_LEARN}s"})
    assert not any(name.startswith("younger") and "later" in name for name in classes), classes
    assert not any(name.startswith("older") and "within" in name for name in classes), classes


def test_what_breaks_where_every_flow_is_tracked():
    """No requirement, for comparison."""
    count_what_breaks({"mode": "all", "learn": f"{SHORT_LEARN}s"})
