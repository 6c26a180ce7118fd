# SPDX-License-Identifier: Apache-2.0
"""Many backends fail at once, all of them, or one again and again: floor, guard and damping."""

import time

import backend_faults as faults
from checked import Checked, check, checked_settings
from lab import VIP4
from results import report
from scheduling import alone
from servers import Servers
from sizes import size
from table_watch import TableWatch
from traffic import Outages, Traffic, judge

MANY = 200
# The floor of the pool that has one: 50 %.
FLOOR = MANY // 2
# A verdict that a busy machine delays waits for no other (docs/health.md), so a fault may need a second or third plan.
# That it needs one if nothing is late is a test of the health board, which has no clock of its own.
FEW = 3
# What the router loses of them: addresses from .128 on.
LOST = {f"m{number}" for number in range(MANY) if 10 + number >= 128}


def many_settings():
    """Two pools of the same 200 backends, which one host is: one with a guard, one with a floor."""
    question = check("tcp", interval="1s", fast_interval="200ms", fall=3, timeout="500ms", vips=[VIP4])
    wanted = checked_settings([], question)
    backends = [{"name": f"m{number}", "address": f"10.0.11.{10 + number}"} for number in range(MANY)]
    pool = {"backends": backends, "table_size": 20011, "check": question}
    wanted["pools"] = {
        "guarded": pool | {"guard": {"share": "25%", "interval": "60s"}},
        "floored": pool | {"guard": {"share": "100%", "interval": "1s"}, "require": "50%", "on_insufficient": "keep"}}
    wanted["services"] = [
        {"name": name, "vips": [VIP4], "ports": [f"{port}/tcp"], "pool": name}
        for name, port in (("guarded", 7000), ("floored", 7001))]
    wanted["limits"]["backends"] = 512
    return wanted


def add_many(lab):
    for number in range(MANY):
        lab.on("b1", "ip", "address", "add", f"10.0.11.{10 + number}/24", "dev", "eth0")
    lab.on("router", "ip", "route", "add", "10.0.11.0/25", "via", "10.0.11.2")
    # Not as neighbours, of which there may not be so many: by the host's one address.
    lab.on("router", "ip", "route", "add", "10.0.11.128/25", "via", "10.0.11.2")
    lab.backend("b1", "down")
    faults.decapsulate(lab, "b1")


def in_use(watch, pool):
    return set(watch.now[pool]) - {"none"}


@alone
def test_200_backends_that_fail_at_once_are_few_plans_and_the_floor_holds():
    with Checked(many_settings(), 1) as lab:
        add_many(lab)
        server = Servers(lab, "b1", ("", ""))
        server.plant("both", "7000/tcp:open", "7001/tcp:open")
        lab.await_checks(lambda rows: len(rows) == 2 * MANY and all(row["state"] == "up" for row in rows), 30)
        time.sleep(1)

        def after(fault, are_down):
            """The plans that a fault leads to, and seconds from it to the first of them."""
            before, since = lab.metric("sluice_health_plans_total"), time.monotonic()
            fault()
            while lab.metric("sluice_health_plans_total") == before and time.monotonic() < since + 10:
                time.sleep(0.02)
            first = time.monotonic() - since
            lab.await_checks(
                lambda rows: {(row["pool"], row["backend"]) for row in rows if row["state"] == "down"} == are_down)
            time.sleep(2)
            return lab.metric("sluice_health_plans_total") - before, first

        both = {(pool, name) for pool in ("guarded", "floored") for name in LOST}
        everyone = {(pool, f"m{number}") for pool in ("guarded", "floored") for number in range(MANY)}
        with TableWatch(lab, every=0.2) as watch:
            silent, took = after(
                lambda: lab.on("router", "ip", "route", "replace", "blackhole", "10.0.11.128/25"), both)
            used = {pool: len(in_use(watch, pool)) for pool in ("guarded", "floored")}
            alarms = {alarm["code"] for alarm in lab.status()["alarms"]}
            gone = after(lambda: server.stop("both"), everyone)[0]
            at_last = {pool: len(in_use(watch, pool)) for pool in ("guarded", "floored")}
            smallest = {pool: min(len(set(slots) - {"none"}) for slots in watch.seen[pool]) for pool in at_last}
            alarms_at_last = {alarm["code"] for alarm in lab.status()["alarms"]}
        guarded = [event for event in lab.events("pool") if event.get("new") == "guarded"]
    report(
        f"2 pools of {MANY}: {len(LOST)} backends of each silent at once, then all {MANY} refuse",
        f"{silent:.0f} plan {took:.2f} s after, {used['guarded']} and {used['floored']} in use; then {gone:.0f} plans,"
        f" {at_last['guarded']} and {at_last['floored']} in use; never fewer than {smallest}",
        f"1 plan, of a busy machine at most {FEW}, 150 (guard 25 %) and {MANY - len(LOST)}; then {FLOOR} or more (floor"
        " 50 %, keep), and 150 (guard)",
        detail=f"alarms: {sorted(alarms)}, then {sorted(alarms_at_last)}; {len(guarded)} events of the guard")
    assert 1 <= silent <= FEW and used == {"guarded": 150, "floored": MANY - len(LOST)}, (silent, used)
    assert gone <= FEW and at_last["guarded"] == smallest["guarded"] == 150, (gone, at_last, smallest)
    assert smallest["floored"] >= FLOOR, (gone, at_last, smallest)
    assert "health-guard" in alarms and guarded, alarms
    assert {"health-guard", "pool-insufficient"} <= alarms_at_last, alarms_at_last


def allowed_departures(seconds, hold=10.0, limit=300.0):
    """How often damping lets a backend go down within so long, if it goes down as soon as it may."""
    count, earliest = 2, 0.0
    while (earliest := earliest + hold) < seconds:
        count, hold = count + 1, min(2 * hold, limit)
    return count


def test_a_flapping_backend_moves_no_more_slots_than_damping_allows():
    hosts, seconds, seed = ["b1", "b2", "b3", "b4"], size("FLAPPING_SECONDS", 30.0), size("SEED", 23)
    outages = Outages()
    question = check(
        "tcp", interval="200ms", timeout="400ms", damping={"hold": "10s", "limit": "5m", "memory": "10m"}, vips=[VIP4],
        port=7000)
    with Checked(checked_settings(hosts, question), len(hosts)) as lab:
        traffic = Traffic(lab, hosts, [VIP4], seed, downloads=40, idle=40, rate=20, lives=(0.0, 2.0, 4.0))
        lab.await_states(dict.fromkeys(hosts, "up"))
        time.sleep(1)
        with TableWatch(lab) as watch:
            share = watch.now["web"].count("b2")
            until, flaps = time.monotonic() + seconds, 0
            outages.begin("b2")
            while time.monotonic() < until:
                flaps += 1
                # Long enough for two probes to fail, and for one to fail and two to pass.
                for verb, pause in (("del", 1.2), ("add", 0.8)):
                    lab.on("b2", "ip", "address", verb, f"{VIP4}/32", "dev", "lo")
                    time.sleep(pause)
            outages.end("b2")
            moved = watch.moved["web"]
        health = lab.events("health")
        changes = [(event["old"], event["new"]) for event in health if event["object"] == "web/b2"]
        others = [event["object"] for event in health if event["new"] == "down" and event["object"] != "web/b2"]
        judgement = judge(traffic.stop(), outages)
    departures = allowed_departures(seconds)
    found = sum(new == "down" and old != "going_up" for old, new in changes)
    # Each departure moves its slots, and each return moves them back; Maglev's own moves are a few of a hundred.
    allowed = int(2 * departures * share * 1.1)
    report(
        f"a backend of 4 that goes and comes every two seconds, {seconds:.0f} s ({flaps} times), damping 10 s to 5 m",
        f"{moved} slots moved of {len(watch.now['web'])} ({share} its own), {found} times down;"
        f" {len(judgement.broken)} connections of others broken",
        f"at most {allowed}, {departures} times; 0; without damping {2 * flaps * share} slots", seed, judgement)
    assert flaps > 3 and found >= 2, (flaps, changes)
    assert not others, f"the machine is too busy: also down were {others}"
    assert moved <= allowed and found <= departures, changes
    assert judgement.total > 0.5 * 20 * seconds, judgement
    assert not judgement.broken, judgement.examples()
