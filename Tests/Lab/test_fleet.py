# SPDX-License-Identifier: Apache-2.0
"""What breaks when a router moves flows from one balancer to another, during a drain and after a backend came or came back.

Stable slots need nothing: both balancers have the same table. On changed slots a balancer may meet flows that only the
other has seen; docs/affinity.md, "In a fleet", tells which of them break.
"""

import time
from dataclasses import dataclass

from configured import settings
from fleet import Fleet
from lab import VIP4
from results import report
from scheduling import paired
from sizes import size
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3"]
# The change after the drain of b3.
BACK = ("undrain", "web/b3")
ANOTHER = ("add", "web/b4", "--address", "10.0.14.2")
# Scaled down from 30 s, as the connections are. A long one is the default: as `settle`, two hours.
SHORT_LEARN = 3
# The packet path's clock.
TICK = 1.1
LIVES = (0.0, 1.0, 4.0, 8.0)


@dataclass
class Change:
    """Done to one balancer after the other: for a moment their tables differ."""

    begun: float
    done: float


class History:
    """A drain, and another change; after each of them flows are moved soon, and again when `learn` is over."""

    def __init__(self, lab, second):
        self.lab, self.second, self.changes, self.moves = lab, second, [], 0

    def change(self, command):
        begun = time.monotonic()
        self.lab.sluice_all("backend", *command)
        self.changes.append(Change(begun, time.monotonic()))
        digests = self.lab.digests()
        assert len(set(digests.values())) == 1, f"tables differ after {command}: {digests}"

    def move(self, **weights):
        self.lab.route_over(**weights)
        self.moves += 1

    def run(self):
        soon, later = 1, SHORT_LEARN + 3
        time.sleep(4)
        for command, one in ((("drain", "web/b3"), {"balancer": 1}), (self.second, {"balancer2": 1})):
            self.change(command)
            time.sleep(soon)
            self.move(**one)
            time.sleep(later - soon)
            self.move(balancer=1, balancer2=1)
            time.sleep(2)
            self.move(balancer=1, balancer2=3)
            time.sleep(2)

    def class_of(self, connection):
        """Which flow it is, and when it broke."""
        drain, second = self.changes
        if connection.started < drain.done:
            age = "older than the drain" if connection.started < drain.begun else "begun amid the drain"
        else:
            age = "begun during the drain" if connection.started < second.done else "begun after the second change"
        if connection.started >= second.done:
            return f"{age}, broken {self.when(connection, second, 'it')}"
        if connection.ended > second.begun:
            return f"{age}, broken after the second change"
        return f"{age}, broken {self.when(connection, drain, 'its beginning')}"

    def when(self, connection, change, name):
        """On a busy machine the balancers' changes are a second apart: the requirement must hold for both of them."""
        if connection.ended <= change.begun + SHORT_LEARN - TICK:
            return f"within {SHORT_LEARN} s of {name}"
        is_later = connection.ended > change.done + SHORT_LEARN + TICK
        return "later" if is_later else f"about {SHORT_LEARN} s after {name}"


def count_what_breaks(name, affinity, second, required):
    seed = size("SEED", 6)
    with Fleet(settings(HOSTS, affinity, flows=262144), len(HOSTS) + 1) as lab:
        traffic = Traffic(
            lab, [*HOSTS, "b4"], [VIP4], seed, downloads=size("FLEET_DOWNLOADS", 60), idle=size("FLEET_IDLE", 60),
            rate=size("FLEET_RATE", 100), lives=LIVES)
        history = History(lab, second)
        history.run()
        connections = traffic.stop()
        carried = lab.forwarded()
    judgement, classes = judge(connections), {}
    for each in judgement.broken:
        classes[history.class_of(each)] = classes.get(history.class_of(each), 0) + 1
    percent = 100 * len(judgement.broken) / judgement.total
    rows = [f"{count} {kind}" for kind, count in sorted(classes.items())]
    added = sum(each.backend == "b4" for each in connections)
    report(
        f"two balancers, {name}: drain and {second[0]}, {history.moves} moves of routes, {judgement.total} connections",
        f"{len(judgement.broken)} broken ({percent:.2f} %)", required, seed,
        "\n".join([*rows, f"digests agree, packets {carried}, {added} connections of b4"]))
    assert all(count > 1000 for count in carried.values()), carried
    assert (added > 100) == (second is ANOTHER), added
    # What comes back is what the slots remember; what is new is not.
    assert second is ANOTHER or not any(name.startswith("begun after") for name in classes), classes
    return classes


@paired
def test_a_long_learn_breaks_only_flows_younger_than_the_change():
    required = "none older than the drain"
    classes = count_what_breaks("learn = settle", {}, ANOTHER, required)
    assert not any(name.startswith("older") for name in classes), classes


@paired
def test_a_short_learn_breaks_younger_flows_only_soon_and_older_ones_only_late():
    required = "younger ones soon, older ones late"
    learn = {"learn": f"{SHORT_LEARN}s"}
    classes = count_what_breaks(f"learn {SHORT_LEARN} s", learn, ANOTHER, required)
    for age in ("begun during the drain", "begun after the second change"):
        assert f"{age}, broken later" not in classes, classes
    assert f"older than the drain, broken within {SHORT_LEARN} s of its beginning" not in classes, classes


@paired
def test_what_breaks_where_every_flow_is_tracked():
    """No requirement, for comparison."""
    count_what_breaks("affinity all", {"mode": "all", "learn": f"{SHORT_LEARN}s"}, BACK, "shown only")
