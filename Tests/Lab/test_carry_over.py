# SPDX-License-Identifier: Apache-2.0
"""A daemon whose limits differ carries everything over into maps of other sizes.

Whatever ends it on the way, or keeps it from its way: the old or the new set of maps is in force, with the same state,
and the next start ends what was begun.
"""

import json
import re
import shutil
import time

import starting
from balancing import HERE, PYTHON, lost
from bpf import Map
from configured import Configured, settings
from faults import difference, some
from installed import installed, set_in_force
from lab import ROOT, VIP4
from results import report
from scheduling import alone
from sizes import size
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3"]


class Carried(Configured):
    """Under probes whose flows live by their entries alone: with another's number, or without, they would move."""

    def __init__(self):
        super().__init__(settings(HOSTS, affinity={"udp_idle": "10s"}), len(HOSTS))
        self.sizes = 0

    def __enter__(self):
        super().__enter__()
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self):
        self._sinks = {host: self.start(host, PYTHON, HERE / "udp_sink.py", VIP4, 9000) for host in HOSTS}
        for sink in self._sinks.values():
            assert sink.stdout.readline().strip() == "ready", sink.stderr.read()
        self._prober = self.start("client", PYTHON, HERE / "udp_probe.py", VIP4, 9000, 3000, 3600)
        time.sleep(0.5)
        self.sluice("backend", "drain", "web/b1")
        # Connections on changed slots that are silent: without their entries they would go to b1.
        self._traffic = Traffic(self, HOSTS, [VIP4], seed=5, idle=120)
        # As old as an unknown datagram must be to go elsewhere.
        time.sleep(12)
        self.before = self.state()
        self.flows = self.status()["flows_used"]
        assert self.flows >= 40, self.flows

    def state(self):
        return installed(self.pins / "sluiced")

    def set(self):
        return int(set_in_force(self.pins / "sluiced")[0].name.split("-")[1])

    def sets(self):
        return sorted(int(path.name.split("-")[1]) for path in (self.pins / "sluiced").glob("maps-*"))

    def resize(self):
        """Other limits than ever before, in the file only."""
        self.sizes += 1
        wanted = self.settings
        wanted["limits"] |= {
            "flows": 65536 + self.sizes, "slots": 524288 + self.sizes, "services": 64 + self.sizes,
            "backends": 64 + self.sizes, "pairs": 4096 + self.sizes}
        self.configuration.write_text(json.dumps(wanted))

    def packets(self):
        """What was forwarded, by every counter there is."""
        return sum(row["packets"] for row in self.api("GET", "/v1/services")[1]), self.verdict_counts()["forwarded"]

    def assert_whole(self, point):
        found = self.state()
        assert found == self.before, f"{point}: {difference(found, self.before)}"

    def recover(self, point):
        """The next start succeeds, completes the migration and leaves one map set."""
        self.start_daemon()
        self.assert_whole(point)
        assert self.sets() == [self.set()], (point, self.sets())
        assert set_in_force(self.pins / "sluiced")[1]["before"] == 0, point
        assert self.status()["flows_used"] >= self.flows, (point, self.status()["flows_used"], self.flows)
        services, forwarded = self.packets()
        assert abs(services - forwarded) <= 3000, f"{point}: {services} by services, {forwarded} forwarded"

    def finish(self, what, detail=""):
        self._prober.terminate()
        sent = json.loads(self._prober.communicate(timeout=30)[0])
        time.sleep(0.3)
        received = {host: json.loads(sink.communicate("", timeout=30)[0]) for host, sink in self._sinks.items()}
        gone, moved = lost(sent, received), sum(len(answer["flows"]) for answer in received.values()) - 64
        self._traffic.ping_idle()
        time.sleep(1)
        judgement = judge(self._traffic.stop())
        report(
            f"{what}, {sent['sent']} probes, {judgement.total} silent connections",
            f"0 mixed, {gone} lost, {moved} flows moved, {len(judgement.broken)} broken",
            "0 mixed, 0 lost, 0 flows moved, 0 broken", detail=detail)
        assert (gone, moved, sent["errors"]) == (0, 0, 0)
        assert judgement.total == 120 and not judgement.broken, judgement.examples()
        services, forwarded = self.packets()
        assert services == forwarded, (services, forwarded)


# Before the first the old set is in force, after the last the new one.
POINTS = ["before-pins", "before-link", "after-link", "among-flows", "among-flows:10", "before-removal"]


def test_the_daemon_is_killed_between_the_stores_of_a_carry_over():
    with Carried() as lab:
        for point in POINTS:
            lab.resize()
            lab.kill_daemon()
            old = lab.set()
            code = starting.attempt(lab, SLUICE_FAULT=point)
            assert code == -9, f"{point} was not passed: {code}\n{starting.log(lab)}"
            lab.assert_whole(point)
            assert lab.set() == (old if point in POINTS[:2] else old + 1), (point, old, lab.set())
            lab.recover(point)
        lab.finish(f"killed at {len(POINTS)} places of a carry-over")


def faults_at_start(lab, way, changes_layout):
    """Starts the daemon with a fault at each given point, and then without one. Returns the results."""
    lab.kill_daemon()
    if changes_layout:
        lab.resize()
    assert starting.attempt(lab, starting.traced(lab)) is None
    calls, _ = starting.traced_calls(lab)
    assert calls >= 50, calls
    ended = {None: 0, 70: 0, -9: 0}
    for k in some(range(1, calls + 1), size("START_POINTS", 5)):
        point = way(k)
        lab.kill_daemon()
        if changes_layout:
            lab.resize()
        code = starting.attempt(lab, starting.traced(lab, point))
        assert code in ended, f"{point}: exit code {code}\n{starting.log(lab)}"
        ended[code] += 1
        lab.assert_whole(point)
        if code is None:
            lab.kill_daemon()
        lab.recover(point)
    named = f"{ended[None]} started, {ended[70]} refused to start, {ended[-9]} killed"
    return sum(ended.values()), f"{way('k')} of {calls}: {named}"


def test_starts_that_carry_over_with_faults_at_every_call():
    with Carried() as lab:
        ways = [lambda k: f"signal=SIGKILL:when={k}", lambda k: f"error=ENOMEM:when={k}",
                lambda k: f"error=ENOMEM:when={k}+"]
        outcomes = [faults_at_start(lab, way, True) for way in ways]
        lab.finish(
            f"{sum(count for count, _ in outcomes)} faults in starts that carry over",
            "\n".join(text for _, text in outcomes))


def test_starts_that_adopt_killed_at_every_call():
    with Carried() as lab:
        count, text = faults_at_start(lab, lambda k: f"signal=SIGKILL:when={k}", False)
        lab.finish(f"{count} kills in starts that adopt", text)


def abi_version():
    header = (ROOT / "bpf/abi/include/forwarding_abi.h").read_text()
    return int(re.search(r"^#define FORWARDING_ABI_VERSION (\d+)$", header, re.MULTILINE)[1])


def test_maps_of_another_version_are_replaced():
    """As after an upgrade from, or a downgrade to, a version with other maps."""
    with Carried() as lab:
        before = lab.state()
        own = abi_version()
        for version in (own + 1, 2):
            lab.kill_daemon()
            with Map(set_in_force(lab.pins / "sluiced")[0] / "layout") as layout:
                layout[0] = version.to_bytes(4, "little") + layout[0][4:]
            lab.start_daemon()
            log = starting.log(lab)
            assert f"layout {version}, this version has {own}" in log
            # Layouts below 3 had another hash.
            assert ("another flow hash" in log) == (version < 3), log
            assert lab.sets() == [lab.set()] and lab.state() == before, difference(lab.state(), before)
        print("  2 changes to maps of another version, with the same tables")


def test_a_limit_below_what_is_in_use_is_refused_and_remains_of_a_death_removed():
    with Carried() as lab:
        lab.kill_daemon()
        good = lab.configuration.read_text()
        wanted = json.loads(good)
        # Checked good, because it has fewer services than are installed.
        wanted["services"] = wanted["services"][1:]
        wanted["limits"]["pairs"] = 40
        lab.configuration.write_text(json.dumps(wanted))
        code = starting.attempt(lab)
        said = starting.log(lab).splitlines()[-1]
        assert code == 70 and "limits.pairs is 40, but " in said, (code, said)
        lab.assert_whole("pairs")
        assert lab.sets() == [1], lab.sets()
        lab.configuration.write_text(good)
        for number in (7, 8):
            (lab.pins / "sluiced" / f"maps-{number}").mkdir()
        lab.recover("the limits as they were")
        assert starting.log(lab).count("which was not in force") == 2 and lab.set() == 1
        lab.finish("a limit below what is in use, refused; 2 sets that were never in force, removed")


def test_pins_that_somebody_removes_are_made_again():
    with Carried() as lab:
        shutil.rmtree(lab.pins / "sluiced")
        deadline = time.monotonic() + 15
        while not (lab.pins / "sluiced" / "link").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert [alarm for alarm in lab.status()["alarms"] if alarm["code"] == "pins-removed"], lab.status()["alarms"]
        lab.kill_daemon()
        lab.recover("pins made again")
        lab.finish("all pins removed, made again, the daemon killed")


@alone
def test_a_carry_over_on_the_way_to_another_interface_forwards_where_the_link_is():
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        lab.on("balancer", "ip", "link", "add", "other", "type", "veth", "peer", "name", "nobody")
        lab.on("balancer", "ip", "link", "set", "other", "up")
        wanted = lab.settings
        wanted["limits"]["flows"] += 1

        def elsewhere():
            lab.kill_daemon()
            wanted["interfaces"][0]["name"] = "other"
            lab.configuration.write_text(json.dumps(wanted))
            # The new program runs on the old interface, and stays there.
            code = starting.attempt(lab, options=["--take-over"], SLUICE_FAULT="after-link")
            assert code == -9, (code, starting.log(lab))

        sent, received = lab.probe(5, elsewhere, 3000)
        gone = lost(sent, received)
        report(
            f"killed in a carry-over to another interface, {sent['sent']} probes", f"{gone} lost", "0 lost")
        assert gone == 0 and sent["errors"] == 0, sent
        wanted["interfaces"][0]["name"] = "eth0"
        lab.configuration.write_text(json.dumps(wanted))
        lab.start_daemon()
        assert set_in_force(lab.pins / "sluiced")[1]["before"] == 0
