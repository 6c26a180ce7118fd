# SPDX-License-Identifier: Apache-2.0
"""Pools whose backends have no health verdict yet: a cold start, a pool that a reload brings, a pool with another name."""

import json
import shutil
import time

from checked import Checked, check, checked_settings
from configured import UDP_PORT
from lab import VIP4
from results import report
from sizes import size
from traffic import HERE, PORTS, PYTHON, Traffic, judge

HOSTS = ["b1", "b2", "b3"]
# Slow enough that the first verdicts come one after the other.
CHECK = check("tcp", port=PORTS[0], interval="1s", timeout="500ms", fall=3, jitter="0%")


def await_ready(lab, seconds=20):
    """The answers of `status` until the daemon says that it is ready."""
    seen, deadline = [lab.status()], time.monotonic() + seconds
    while not seen[-1]["ready"]:
        assert time.monotonic() < deadline, seen[-1]
        time.sleep(0.02)
        seen.append(lab.status())
    return seen


def new_udp_flows(lab, count=300, port=UDP_PORT):
    """How many of so many new flows each backend gets."""
    sinks = {host: lab.start(host, PYTHON, HERE / "udp_sink.py", VIP4, port) for host in HOSTS}
    for sink in sinks.values():
        assert sink.stdout.readline().strip() == "ready", sink.stderr.read()
    lab.on("client", PYTHON, HERE / "udp_flows.py", VIP4, port, count, 0, 1)
    time.sleep(0.3)
    return {host: len(json.loads(sink.communicate("", timeout=30)[0])["flows"]) for host, sink in sinks.items()}


def is_spread(flows):
    return all(count > sum(flows.values()) / 5 for count in flows.values())


def dropped(lab):
    return lab.verdict_counts()["dropped_no_backend"]


def move(wanted, old, new):
    for service in wanted["services"]:
        service["pool"] = new if service["pool"] == old else service["pool"]


def start_cold(lab):
    lab.kill_daemon()
    pins = lab.pins / "sluiced"
    (pins / "link").unlink()
    shutil.rmtree(pins)
    shutil.rmtree(lab.run_directory / "state", ignore_errors=True)
    lab.start_daemon()


def test_a_cold_start_serves_nothing_before_the_first_verdicts_and_all_backends_afterwards():
    seed = size("SEED", 31)
    with Checked(checked_settings(HOSTS, CHECK), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4], seed, rate=size("COLD_RATE", 100))
        log = len((lab.run_directory / "sluiced.log").read_text())
        start_cold(lab)
        waiting = await_ready(lab)[:-1]
        lab.await_states(dict.fromkeys(HOSTS, "up"))
        flows = new_udp_flows(lab)
        changed = lab.status()["pools"][0]["changed_slots"]
        connections = traffic.stop()
        drops = dropped(lab)
        alarms = [event for event in lab.events() if event["type"] in ("alarm", "pool")]
        text = (lab.run_directory / "sluiced.log").read_text()[log:]
    report(
        f"a cold start with {len(HOSTS)} backends, {len(connections)} connections, 300 new UDP flows",
        f"{drops} packets dropped, {changed} slots changed, UDP flows by backend {flows}",
        "0 dropped, 0 changed, a fifth at least for each", seed, f"{len(waiting)} looks while it waited; {alarms}")
    assert waiting and all(status["awaited"] == ["web"] for status in waiting), waiting[:1]
    assert all(status["services"] == 0 for status in waiting), waiting[-1]
    assert drops == 0 and changed == 0, (drops, changed)
    assert is_spread(flows), flows
    assert "insufficient" not in text and not [event for event in alarms if event["type"] == "alarm"], (text, alarms)


def test_clients_of_a_service_that_waits_are_not_refused():
    """The VIP is known by another service, whose pool waits for nothing."""
    wanted = checked_settings(HOSTS, CHECK)
    wanted["pools"]["unchecked"] = {"backends": [dict(wanted["pools"]["web"]["backends"][0])]}
    wanted["services"].append({"name": "other", "vips": [VIP4], "ports": ["9002/udp"], "pool": "unchecked"})
    with Checked(wanted, len(HOSTS)) as lab:
        await_ready(lab)
        traffic = Traffic(lab, HOSTS, [VIP4], size("SEED", 34), rate=100)
        start_cold(lab)
        waiting = await_ready(lab)[:-1]
        time.sleep(2)
        connections = traffic.stop()
        verdicts = lab.verdict_counts()
    broken = judge(connections).broken
    report(
        f"a cold start beside a service that waits for nothing, {len(connections)} connections",
        f"{verdicts['dropped_unserved']} packets dropped, {verdicts['answered_unserved']} refused, {len(broken)} broken",
        "0 refused, 0 broken", detail=f"{len(waiting)} looks while it waited")
    assert any(status["services"] == 1 for status in waiting), waiting[-1:]
    assert verdicts["dropped_unserved"] > 0 and verdicts["answered_unserved"] == 0, verdicts
    assert not broken, broken[:5]


def test_a_cold_start_waits_for_a_dead_backend_no_longer_than_its_checks_say():
    with Checked(checked_settings(HOSTS, CHECK), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS[:2], [VIP4], size("SEED", 32), rate=20)
        lab.on("b3", "ip", "link", "set", "eth0", "down")
        began = time.monotonic()
        start_cold(lab)
        await_ready(lab)
        waited = time.monotonic() - began
        time.sleep(0.5)
        rows = lab.rows()
        traffic.stop()
    report("a cold start with a dead backend", f"ready after {waited:.1f} s", "3.5 s, and the start itself")
    assert {host: row["share"] > 0 for host, row in rows.items()} == {"b1": True, "b2": True, "b3": False}, rows


def test_a_pool_that_a_reload_brings_serves_when_its_backends_have_verdicts():
    """A new service, whose new UDP flows are spread; a renamed pool, and one with another check, under connections."""
    seed = size("SEED", 33)
    wanted = checked_settings(HOSTS, CHECK)
    with Checked(wanted, len(HOSTS)) as lab:
        traffic = Traffic(
            lab, HOSTS, [VIP4], seed, downloads=30, idle=100, rate=0)
        lab.await_states(dict.fromkeys(HOSTS, "up"))
        await_ready(lab)
        load = Traffic(lab, [], [VIP4], seed + 1, downloads=30, idle=100, rate=100, lives=(0.0, 1.0))
        time.sleep(1)
        before, results = dropped(lab), {}

        current = lab.settings
        current["pools"]["two"] = {**current["pools"]["web"], "check": {**CHECK, "port": PORTS[1]}}
        current["services"].append(
            {"name": "more", "vips": [VIP4], "ports": ["9001/udp"], "pool": "two"})
        lab.configuration.write_text(json.dumps(current))
        diff = lab.sluice("config", "diff").stdout
        lab.reload(current)
        assert lab.status()["awaited"] == ["two"], lab.status()
        waiting = len(await_ready(lab))
        lab.await_states(dict.fromkeys(HOSTS, "up"), pool="two")
        results["flows of a new pool"] = flows = new_udp_flows(lab, port=9001)

        # Another name alone: nothing is waited for.
        current["pools"]["www"] = current["pools"].pop("web")
        move(current, "web", "www")
        lab.reload(current)
        renamed = lab.status()
        results["changed slots of the renamed pool"] = {
            row["name"]: row["changed_slots"] for row in renamed["pools"]}
        rows = lab.rows("www")
        assert all(row["state"] == "ready" and row["packets"] > 0 for row in rows.values()), rows
        assert sorted(row["name"] for row in renamed["pools"]) == ["two", "www"], renamed["pools"]
        time.sleep(1)

        # Another pool, with another check: the service stays where it is until that has its verdicts.
        question = {key: value for key, value in CHECK.items() if key != "port"} | {"type": "icmp"}
        current["pools"]["other"] = {**current["pools"]["www"], "check": question}
        move(current, "www", "other")
        lab.configuration.write_text(json.dumps(current))
        second = lab.sluice("config", "diff").stdout
        lab.reload(current)
        looks = await_ready(lab)
        time.sleep(2)
        connections = load.stop_client()
        drops = dropped(lab) - before
        traffic.stop_client()
        traffic.stop_servers()
    judgement = judge(connections)
    report(
        f"a pool is added, renamed and replaced by reload, {judgement.total} connections",
        f"{len(judgement.broken)} broken, {drops} packets dropped, {judgement.slow} second SYNs; {results}",
        "0, 0, 0", seed, f"{judgement}; waited {waiting} and {len(looks)} looks\n{diff}{second}")
    assert "more 10.100.0.1:9001/udp is not served until the backends of pool two" in diff, diff
    assert "stays with pool www until the backends of pool other" in second, second
    assert len(looks) > 1, "the service did not wait"
    assert is_spread(flows), flows
    assert renamed["ready"], renamed
    assert not any(results["changed slots of the renamed pool"].values()), results
    assert judgement.total > 300 and not judgement.broken and drops == 0, judgement.examples()
