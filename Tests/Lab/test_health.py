# SPDX-License-Identifier: Apache-2.0
"""Backends and the daemon die and come back under load: which connections fail, and for how long."""

import json
import time

from checked import Checked, check, checked_settings
from lab import VIP4
from results import report
from scheduling import paired
from sizes import size
from table_watch import TableWatch
from traffic import HERE, PORTS, PYTHON, Outages, Traffic, judge

HOSTS = ["b1", "b2", "b3", "b4"]
VICTIM, ADDRESS = "b2", "10.0.12.2"
CLIENT = "10.0.1.2"
INTERVAL, FALL, TIMEOUT = 1.0, 3, 0.5
# What the issue allows beside the timings.
MORE = 0.1


def host_dies(lab, traffic):
    lab.on(VICTIM, "ip", "link", "set", "eth0", "down")


def host_lives(lab, traffic):
    lab.on(VICTIM, "ip", "link", "set", "eth0", "up")
    lab.on(VICTIM, "ip", "route", "replace", "default", "via", ADDRESS[:-1] + "1")


def server_dies(lab, traffic):
    server = traffic.servers.pop(VICTIM)
    server.kill()
    server.communicate()


def server_lives(lab, traffic):
    traffic.serve(VICTIM)


def start_watch(lab):
    watch = lab.start("router", PYTHON, HERE / "tunnel_watch.py", "balancer")
    assert watch.stdout.readline().strip() == "ready", watch.stderr.read()
    return watch


def syns_of_clients(watch):
    """[time, source port] of the clients' packets to the victim."""
    seen = json.loads(watch.communicate("", timeout=30)[0])
    return [(when, port) for when, backend, source, port, _ in seen if (backend, source) == (ADDRESS, CLIENT)]


def dies_and_comes_back(what, dies, lives):
    question = check(
        "tcp", interval="1s", timeout="500ms", fall=FALL, jitter="20%", vips=[VIP4])
    bound = INTERVAL * FALL + TIMEOUT + MORE
    outages, seed = Outages(), size("SEED", 21)
    with Checked(checked_settings(HOSTS, question), len(HOSTS)) as lab:
        traffic = Traffic(
            lab, HOSTS, [VIP4], seed, downloads=60, idle=100, rate=size("HEALTH_RATE", 100), lives=(0.0, 0.5))
        lab.await_states(dict.fromkeys(HOSTS, "up"))
        watch = start_watch(lab)
        time.sleep(2)
        plans = lab.metric("sluice_health_plans_total")
        outages.begin(VICTIM)
        dies(lab, traffic)
        died = time.monotonic()
        lab.await_states({VICTIM: "down"})
        time.sleep(max(0, died + bound + 1.5 - time.monotonic()))
        reason = lab.rows()[VICTIM]["reason"]
        lived = time.monotonic()
        lives(lab, traffic)
        lab.await_states({VICTIM: "up"})
        outages.end(VICTIM)
        time.sleep(0.2)
        back = time.monotonic()
        time.sleep(4)
        plans = lab.metric("sluice_health_plans_total") - plans
        connections = traffic.stop()
        syns = syns_of_clients(watch)

    last = max(when for when, _ in syns if when < lived) - died
    late = [syn for syn in syns if died + bound < syn[0] < lived]
    failed_late = [
        each for each in connections if died + bound < each.started < lived and each.backend is None]
    new = [each for each in connections if each.started > back]
    share = sum(each.backend == VICTIM for each in new) / len(new)
    others = judge(connections, outages)
    report(
        f"{what}, {len(connections)} connections, {size('HEALTH_RATE', 100)} new ones a second",
        f"last SYN to it {last:.2f} s after its death, {len(late)} later than {bound:.1f} s; {len(others.broken)} flows of"
        f" others broken; back: {share:.0%} of {len(new)} new ones, up {back - lived:.2f} s after its start",
        f"none later than {bound:.1f} s, 0 broken, about {1 / len(HOSTS):.0%}", seed,
        f"{others}; {plans:.0f} plans; told: {reason}")
    assert sum(when < died for when, _ in syns) > 20 and len(new) > 100, "too little load to say anything"
    assert not late, (died, late[:10])
    assert not failed_late, failed_late[:5]
    assert not others.broken, others.examples()
    assert 0.15 < share < 0.35, share
    assert plans == 2, plans


@paired
def test_no_new_connection_goes_to_a_host_that_is_gone():
    dies_and_comes_back("a host is gone", host_dies, host_lives)


@paired
def test_no_new_connection_goes_to_a_server_that_is_gone():
    dies_and_comes_back("a server's process is killed", server_dies, server_lives)


def test_a_killed_daemon_starts_with_the_health_that_is_installed():
    """Two backends up and two down: one that never answered, and one that died."""
    seed, silent, dead = size("SEED", 22), "b3", "b4"
    alive = ["b1", "b2"]
    states = dict.fromkeys(alive, "up") | {silent: "down", dead: "down"}
    with Checked(checked_settings(HOSTS, check("tcp")), len(HOSTS)) as lab:
        traffic = Traffic(lab, [*alive, dead], [VIP4], seed, downloads=40, idle=60, rate=0)
        lab.await_states(states | {dead: "up"})
        for server in [traffic.servers.pop(dead)]:
            server.kill()
            server.communicate()
        lab.await_states(states)
        judged = Traffic(lab, [], [VIP4], seed + 1, downloads=60, idle=100, rate=50, lives=(0.0, 1.0))
        time.sleep(1)
        digest, seen = lab.digest(), []
        with TableWatch(lab) as watch:
            for _ in range(size("HEALTH_RESTARTS", 3)):
                lab.kill_daemon()
                time.sleep(0.5)
                lab.start_daemon()
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    seen.append((lab.digest(), tuple(sorted(lab.states().items()))))
                    time.sleep(0.1)
                changes = [event for event in lab.events("health") if "up" in (event["old"], event["new"])]
                assert not changes, changes
            traffic.serve(dead)
            lab.await_states({dead: "up", silent: "down"})
            time.sleep(0.5)
        connections = judged.stop_client()
        traffic.stop_client()
        traffic.stop_servers()

    flapped = [states for table, states in seen if dict(states)["b1"] != "up" or dict(states)[dead] != "down"]
    others = judge(connections)
    owners = {name for slots in watch.seen["web"] for name in slots}
    report(
        f"{size('HEALTH_RESTARTS', 3)} times kill -9 and a start, 2 backends up and 2 down, {len(connections)} connections",
        f"{len(others.broken)} broken, {len({table for table, _ in seen} - {digest})} other tables,"
        f" {len(flapped)} of {len(seen)} looks saw another health", "0, 0, 0", seed,
        f"{others}; {watch.looks} looks at the table: owners {sorted(owners)}")
    assert {table for table, _ in seen} == {digest}
    assert not flapped, flapped[:3]
    assert owners == {*alive, dead}, owners
    assert not others.broken, others.examples()
