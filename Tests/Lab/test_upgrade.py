# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed, restarted and upgraded, and gets maps of other sizes: no connection breaks."""

import json
import os
import time

import bpf
from balancing import HERE, PYTHON, Balancer, lost
from configured import Configured, settings
from lab import VIP4, VIP6
from results import report
from scheduling import alone
from sizes import size
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3", "b4"]


def pins(lab):
    return lab.pins / "sluiced"


def sets(lab):
    """The numbers of the sets of maps that are pinned."""
    return sorted(int(path.name.split("-")[1]) for path in pins(lab).glob("maps-*"))


def log(lab):
    return (lab.run_directory / "sluiced.log").read_text()


def restart(lab, pause=0.0):
    lab.kill_daemon()
    time.sleep(pause)
    lab.start_daemon()


def judge_probes(what, sent, received, required="0 lost, 0 flows moved"):
    gone = lost(sent, received)
    moved = sum(len(answer["flows"]) for answer in received.values()) - 64
    report(f"{what}, {sent['sent']} probes in {sent['seconds']:.1f} s", f"{gone} lost, {moved} flows moved", required)
    assert sent["errors"] == 0, sent
    return gone, moved


@alone
def test_0_probes_lost_over_many_kills_and_restarts():
    kills = size("KILLS", 10)
    with Balancer() as lab:
        def during():
            begun = time.monotonic()
            for number in range(kills):
                time.sleep(max(0, begun + number * 1.1 - time.monotonic()))
                restart(lab)

        sent, received = lab.probe(kills * 1.1 + 1, during)
        assert judge_probes(f"{kills} x kill -9 and restart", sent, received) == (0, 0)


def two_programs(lab):
    """Ids of two programs on the same maps, both alive: that of the daemon before a restart, and after."""
    first = bpf.program_of(pins(lab) / "link")
    holder = bpf.program(first)
    restart(lab)
    second = bpf.program_of(pins(lab) / "link")
    assert first != second
    return holder, first, second


def swapped(lab, way, count):
    holder, first, second = two_programs(lab)
    try:
        return lab.probe(count * 0.022 + 2, lambda: lab.on(
            "balancer", PYTHON, HERE / "bpf.py", way, pins(lab) / "link", count, first, second, timeout=60))
    finally:
        os.close(holder)


@alone
def test_0_probes_lost_over_300_program_upgrades():
    with Balancer() as lab:
        sent, received = swapped(lab, "swap", 300)
        assert judge_probes("300 link updates", sent, received) == (0, 0)


@alone
def test_probes_detect_a_moment_without_the_program():
    with Balancer() as lab:
        sent, received = swapped(lab, "reattach", 20)
        gone, _ = judge_probes(
            "20 times detached and attached, as must not be", sent, received, "more than 0 lost")
        assert gone > 0, "the probes do not see what they are for"


def resized(wanted, number):
    """Other limits each time, up and down: the maps of flows alone, of tables, of all."""
    limits = wanted["limits"]
    change = [
        {"flows": limits["flows"] * 2}, {"slots": 400_000, "pairs": 2048},
        {"services": 128, "pools": 32, "backends": 96, "slots": 600_000, "flows": 50_000, "pairs": 8192},
        {"services": 32, "pools": 8, "backends": 48, "slots": 524_288, "flows": 65_536, "pairs": 4096},
    ][number % 4]
    return wanted | {"limits": limits | change}


@alone
def test_0_connections_break_over_upgrades_that_change_the_layout():
    upgrades = size("UPGRADES", 6)
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        seed = size("SEED", 3)
        traffic = Traffic(
            lab, HOSTS, [VIP4, VIP6], seed, downloads=size("UPGRADE_DOWNLOADS", 100),
            rate=size("UPGRADE_RATE", 150), lives=(0.0, 0.3, 2.0))
        time.sleep(2)
        # Entries are there, and needed: the drained backend's connections live by them after the drain of another.
        lab.sluice("backend", "drain", "web/b1")
        time.sleep(1)
        layouts = 0
        for number in range(upgrades):
            if number == upgrades // 2:
                lab.sluice("backend", "undrain", "web/b1")
                lab.sluice("backend", "drain", "web/b2")
            if number % 2 == 0:
                lab.configuration.write_text(json.dumps(resized(lab.settings, number // 2)))
                layouts += 1
            restart(lab, pause=0.2)
            assert len(sets(lab)) == 1, sets(lab)
            time.sleep(1)
        flows = lab.flow_table()
        judgement = judge(traffic.stop())
        report(
            f"{upgrades} upgrades of the daemon, {layouts} to another layout, {judgement.total} connections",
            f"{len(judgement.broken)} broken", "0 broken", seed, f"{flows}; {judgement}")
        assert sets(lab)[0] == 1 + layouts
        assert not judgement.broken, judgement.examples()
