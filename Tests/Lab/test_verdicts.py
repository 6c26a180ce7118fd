# SPDX-License-Identifier: Apache-2.0
"""Health verdicts during other changes: an operator's, and a start that cannot read the installed maps."""

import threading
import time

from bpf import Map
from checked import Checked, check, checked_settings
from installed import set_in_force
from lab import VIP4
from results import report
from servers import Servers
from sizes import size
from table_watch import TableWatch
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3"]
VICTIM = "b2"
GATE = "7099/tcp:open"


class Gated(Checked):
    """Backends whose check asks a port that tests open and close; clients use another port."""

    def __init__(self, **timing):
        super().__init__(checked_settings(HOSTS, check("tcp", port=7099, vips=[VIP4], **timing)), len(HOSTS) + 1)

    def open(self, *hosts):
        self.gates = {host: Servers(self, host, ("", "")) for host in HOSTS}
        for host in hosts:
            self.gates[host].plant("gate", GATE)
        self.await_states({host: "up" if host in hosts else "down" for host in HOSTS})

    def share(self, host):
        return self.rows()[host]["share"]


class Operator(threading.Thread):
    """Changes the weight of a backend repeatedly until it is stopped."""

    def __init__(self, lab):
        super().__init__()
        self._lab, self._ends, self.changes = lab, threading.Event(), 0

    def run(self):
        while not self._ends.is_set():
            weight = 100 + self.changes % 2
            status, answer = self._lab.api("PATCH", "/v1/pools/web/backends/b1", {"weight": weight})
            assert status == 200, answer
            self.changes += 1

    def stop(self):
        self._ends.set()
        self.join()


def falls_among_changes(lab, change, state):
    """Lets health change during an operator's changes, which stop at the verdict. Returns their number."""
    operator = Operator(lab)
    operator.start()
    try:
        change()
        lab.await_checks(lambda rows: any(
            (row["backend"], row["state"]) == (VICTIM, state) for row in rows), every=0.002)
    finally:
        operator.stop()
    time.sleep(0.5)
    return operator.changes


def test_a_verdict_that_falls_while_an_operator_changes_things_is_planned():
    rounds, changes, wrong = size("VERDICT_ROUNDS", 8), 0, []
    with Gated(interval="100ms", timeout="80ms", rise=1, fall=1) as lab:
        lab.open(*HOSTS)
        for number in range(rounds):
            changes += falls_among_changes(lab, lambda: lab.gates[VICTIM].stop("gate"), "down")
            if (share := lab.share(VICTIM)) > 0:
                wrong.append((number, "down", share))
            changes += falls_among_changes(lab, lambda: lab.gates[VICTIM].plant("gate", GATE), "up")
            if (share := lab.share(VICTIM)) == 0:
                wrong.append((number, "up", share))
    report(
        f"{2 * rounds} verdicts among {changes} changes by an operator", f"{len(wrong)} not in the table", "0",
        detail=str(wrong))
    assert changes > 2 * rounds and not wrong, wrong


def test_a_backend_that_is_added_begins_as_its_check_says():
    """A draining one is usable from the beginning: that says nothing of its health."""
    with Gated() as lab:
        lab.open(*HOSTS)
        lab.sluice("backend", "add", "web/new", "--address", "10.0.14.2", "--state", "drain")
        states = lab.states()
        assert states == {**dict.fromkeys(HOSTS, "up"), "new": "down"}, states
        lab.sluice("backend", "undrain", "web/new")
        assert lab.share("new") == 0


def test_a_version_that_cannot_read_the_maps_keeps_the_health():
    """As after an upgrade to a version with other maps: nothing is known of the installed state."""
    with Gated() as lab:
        lab.open("b1", "b3")
        traffic = Traffic(lab, HOSTS, [VIP4], size("SEED", 25), rate=50)
        time.sleep(1)
        digest = lab.digest()
        lab.kill_daemon()
        with Map(set_in_force(lab.pins / "sluiced")[0] / "layout") as layout:
            layout[0] = (99).to_bytes(4, "little") + layout[0][4:]
        lab.start_daemon()
        with TableWatch(lab) as watch:
            states, digests = [], set()
            until = time.monotonic() + 2.5
            while time.monotonic() < until:
                states.append(tuple(sorted(lab.states().items())))
                digests.add(lab.digest())
                time.sleep(0.1)
        owners = {name for slots in watch.seen["web"] for name in slots}
        connections = judge(traffic.stop())
    report(
        f"maps of another version, 2 backends up and 1 down, {connections.total} connections",
        f"{len(connections.broken)} broken, {len(digests - {digest})} other tables, owners {sorted(owners)}",
        "0 broken, 0 others, only those up", size("SEED", 25), f"{len(set(states))} sets of states in {len(states)} looks")
    assert digests == {digest}, digests
    assert owners == {"b1", "b3"}, owners
    assert set(states) == {(("b1", "up"), ("b2", "down"), ("b3", "up"))}, set(states)
    assert not connections.broken, connections.examples()
