# SPDX-License-Identifier: Apache-2.0
"""A pool all of whose backends are down, under each policy: by a false alarm, silent, or without their servers."""

import collections
import time

from checked import Checked, check, checked_settings
from configured import member
from lab import VIP4
from results import report
from servers import Servers
from sizes import size
from table_watch import TableWatch
from traffic import Traffic, judge

POLICIES = {"withdraw": 7000, "keep": 7001, "all": 7002}
# Who dies how. What a client's new connections then meet: docs/health.md, "Who is in use".
DYING = {"silent": ["b1", "b2", "b3"], "stopped": ["b4", "b5", "b6"]}
MEETS = {
    ("silent", "withdraw"): "no answer", ("silent", "keep"): "no answer", ("silent", "all"): "no answer",
    ("stopped", "withdraw"): "no answer", ("stopped", "keep"): "refused", ("stopped", "all"): "refused"}
DOORS = dict(zip(MEETS, range(7000, 7006)))


def policy_settings():
    """A pool for each policy, of the same backends; b4 is in maint, b5 will be removed. The check asks another port than clients use."""
    # In haste, so that their verdicts come together: of backends that go down one after the other only the last are kept.
    question = check("tcp", port=7099, vips=[VIP4], interval="1s", fast_interval="200ms")
    wanted = checked_settings([], question)
    backends = [member("b1"), member("b2"), member("b3"), member("b4", state="maint"), member("b5")]
    pool = wanted["pools"]["web"] | {"backends": backends}
    wanted["pools"] = {policy: pool | {"on_insufficient": policy} for policy in POLICIES}
    wanted["services"] = [
        {"name": policy, "vips": [VIP4], "ports": [f"{port}/tcp"], "pool": policy} for policy, port in POLICIES.items()]
    return wanted


def test_what_clients_see_of_a_pool_whose_backends_are_all_down():
    hosts = ["b1", "b2", "b3"]
    with Checked(policy_settings(), 5) as lab:
        gates = {host: Servers(lab, host, ("", "")) for host in [*hosts, "b4", "b5"]}
        for gate in gates.values():
            gate.plant("gate", "7099/tcp:open")
        lab.await_checks(lambda rows: all(row["state"] == "up" for row in rows))
        for policy in POLICIES:
            lab.sluice("backend", "remove", f"{policy}/b5", "--yes", "--force")
        traffic = {
            policy: Traffic(lab, hosts, [VIP4], size("SEED", 24), idle=30, rate=20, ports=(port,))
            for policy, port in POLICIES.items()}
        time.sleep(1.5)
        with TableWatch(lab) as watch:
            for gate in gates.values():
                gate.stop("gate")
            lab.await_checks(lambda rows: all(row["state"] == "down" for row in rows))
            time.sleep(0.5)
            began = time.monotonic()
            for each in traffic.values():
                each.ping_idle()
            time.sleep(3)
            ended = time.monotonic()
            for gate in gates.values():
                gate.plant("gate", "7099/tcp:open")
            lab.await_checks(lambda rows: all(row["state"] == "up" for row in rows))
            back = time.monotonic()
            # A client whose second retransmission was dropped waits for its third.
            time.sleep(5)
            named = {policy: {name for slots in watch.seen[policy] for name in slots} for policy in POLICIES}
        connections = {policy: each.stop() for policy, each in traffic.items()}
    for policy, found in connections.items():
        new = [each for each in found if began < each.started < ended - 0.2 and each.kind == "short"]
        served = [each for each in new if each.connected and each.connected < ended]
        later = [each for each in new if each not in served and each.connected]
        old = judge([each for each in found if each.kind == "idle"])
        report(
            f"on_insufficient: {policy}, all backends down for {back - began:.1f} s",
            f"{len(served)} of {len(new)} new connections served meanwhile, {len(later)} once they were up;"
            f" {len(old.broken)} of {old.total} established ones broken; slots of {sorted(named[policy])}",
            "none, all, all served; 0 broken; never b4 (maint), never b5 (removed)")
        assert len(new) > 20 and old.total == 30
        assert len(served) == (0 if policy == "withdraw" else len(new)), new[:5]
        assert len(served) + len(later) == len(new), [each for each in new if not each.connected][:5]
        assert not old.broken, old.examples()
        assert named[policy] == {*hosts} | ({"none"} if policy == "withdraw" else set()), named


def dying_settings():
    """A pool for each kind of failure and each policy; the check asks the port that clients use."""
    question = check("tcp", vips=[VIP4], interval="1s", fast_interval="200ms")
    wanted = checked_settings([], question)
    pool = wanted["pools"]["web"]
    wanted["pools"] = {
        f"{policy}-{fault}": pool | {
            "backends": [member(host) for host in DYING[fault]], "on_insufficient": policy}
        for fault, policy in DOORS}
    wanted["services"] = [
        {"name": f"{policy}-{fault}", "vips": [VIP4], "ports": [f"{port}/tcp"], "pool": f"{policy}-{fault}"}
        for (fault, policy), port in DOORS.items()]
    return wanted


def die(lab, traffic):
    for host in DYING["silent"]:
        lab.on("router", "ip", "route", "add", "blackhole", f"{member(host)['address']}/32")
    for (fault, _), each in traffic.items():
        for server in [each.servers.pop(host) for host in DYING[fault] if fault == "stopped"]:
            server.kill()
            server.communicate()


def live(lab, traffic):
    for host in DYING["silent"]:
        lab.on("router", "ip", "route", "del", "blackhole", f"{member(host)['address']}/32")
    for (fault, _), each in traffic.items():
        if fault == "stopped":
            each.serve(*DYING[fault])


def met(connection, ended):
    if connection.connected and connection.connected < ended:
        return "served"
    return "refused" if connection.outcome == "ConnectionRefusedError" else "no answer"


def used_by_pool(watch):
    return {door: set(watch.now[f"{door[1]}-{door[0]}"]) for door in DOORS}


def all_die_and_come_back(lab, traffic):
    """The times at which they died, all were down, they lived again and were up; and the backends in use then."""
    with TableWatch(lab) as watch:
        died = time.monotonic()
        die(lab, traffic)
        lab.await_checks(lambda rows: all(row["state"] == "down" for row in rows))
        time.sleep(0.5)
        began, dropped = time.monotonic(), lab.verdict_counts()["dropped_no_backend"]
        time.sleep(2.5)
        ended, dropped = time.monotonic(), lab.verdict_counts()["dropped_no_backend"] - dropped
        used = used_by_pool(watch)
        live(lab, traffic)
        lab.await_checks(lambda rows: all(row["state"] == "up" for row in rows))
        time.sleep(0.5)
        back = time.monotonic()
        time.sleep(2)
        return (died, began, ended, back), dropped, used, used_by_pool(watch)


def judge_door(door, connections, times, used):
    """Checks the results of one pool's clients. Returns how many connections began while it had no backend up."""
    (fault, policy), (died, began, ended, back) = door, times
    short = [each for each in connections if each.kind == "short"]
    new = [each for each in short if began < each.started < ended - 0.2]
    counts = collections.Counter(met(each, ended) for each in new)
    later = [each for each in new if met(each, ended) == "no answer" and each.connected]
    again = judge([each for each in short if each.started > back])
    # They said nothing meanwhile, so that whoever lives on has them.
    old, cut = judge([each for each in connections if each.kind == "idle"]), 30 if fault == "stopped" else 0
    report(
        f"on_insufficient: {policy}, all backends {fault} for {back - died:.1f} s",
        f"of {len(new)} new connections {dict(counts)}, {len(later)} served once they were up; then"
        f" {len(again.broken)} of {again.total} failed; {len(old.broken)} of {old.total} established ones broken",
        f"{MEETS[door]}, all that were not refused; then none; {cut}", detail=f"slots of {sorted(used)}")
    assert len(new) > 20 and again.total > 10 and old.total == 30, (len(new), again.total, old.total)
    assert set(counts) == {MEETS[door]}, counts
    assert len(later) == counts["no answer"], [each for each in new if each not in later][:5]
    assert not again.broken, again.examples()
    assert len(old.broken) == cut, old.examples()
    # Of those that go down one after the other, `keep` has the last alone.
    hosts = set(DYING[fault])
    assert used == {"withdraw": {"none"}, "keep": hosts & used, "all": hosts}[policy] != set(), used
    return len(new)


def test_what_clients_see_of_a_pool_whose_backends_are_all_dead():
    with Checked(dying_settings(), 6) as lab:
        traffic = {
            door: Traffic(lab, DYING[door[0]], [VIP4], size("SEED", 25), idle=30, rate=20, ports=(port,))
            for door, port in DOORS.items()}
        lab.await_checks(lambda rows: len(rows) == 3 * len(DOORS) and all(row["state"] == "up" for row in rows))
        time.sleep(1.5)
        times, dropped, used, used_again = all_die_and_come_back(lab, traffic)
        connections = {door: each.stop() for door, each in traffic.items()}
    new = {door: judge_door(door, connections[door], times, used[door]) for door in DOORS}
    nowhere = sum(count for (_, policy), count in new.items() if policy == "withdraw")
    assert dropped >= nowhere, f"{dropped} packets dropped for want of a backend, of {nowhere} connections"
    assert used_again == {door: set(DYING[door[0]]) for door in DOORS}, used_again
