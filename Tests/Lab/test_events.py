# SPDX-License-Identifier: Apache-2.0
"""Events report all changes without gaps, also across restarts, and followers cannot disturb the daemon."""

import json
import signal
import socket
import time

from configured import Configured, settings
from lab import BIN, CommandFailed
from results import report
from sizes import size

HOSTS = ["b1", "b2", "b3"]


def events(lab, *arguments):
    """The output of `sluice events`."""
    return [json.loads(line) for line in lab.sluice("events", "-o", "json", *arguments).stdout.splitlines()]


def briefly(event):
    return " ".join(event.get(key, "-") for key in ("type", "object", "old", "new"))


def eventually(lab, found, *arguments, seconds=30):
    deadline = time.monotonic() + seconds
    while not (matching := [event for event in events(lab, *arguments) if found(event)]):
        assert time.monotonic() < deadline, [briefly(event) for event in events(lab)]
        time.sleep(0.2)
    return matching


def test_changes_are_reported_with_author_and_reason():
    with Configured(settings(HOSTS, pool={"drain": {"quiet": "1s"}}), len(HOSTS)) as lab:
        first = events(lab)
        assert briefly(first[0]) == "daemon sluiced - started" and first[0]["seq"] == 1, first
        assert any(event["type"] == "interface" and "attached" in event["new"] for event in first), first
        start = str(first[-1]["seq"])

        lab.sluice("backend", "drain", "web/b2", "--reason", "kernel update")
        drain, = eventually(lab, lambda event: event["new"] == "state drain", "--since", start)
        assert drain["object"] == "web/b2" and drain["old"] == "state ready", drain
        assert drain["reason"] == "kernel update" and drain["by"].startswith("root (uid 0, pid "), drain
        plan, = eventually(lab, lambda event: event["type"] == "plan", "--since", start)
        assert plan["object"] == "web" and plan["new"].startswith("moved ") and plan["by"] == drain["by"], plan
        drained, = eventually(lab, lambda event: event["new"] == "drained", "--type", "backend")
        assert drained["object"] == "web/b2" and "by" not in drained, drained

        wanted = lab.settings
        wanted["pools"]["web"]["backends"] = [each for each in wanted["pools"]["web"]["backends"] if each["name"] != "b3"]
        lab.reload(wanted)
        assert eventually(lab, lambda event: "reloaded" in event["new"], "-t", "config")[0]["by"].startswith("root")
        eventually(lab, lambda event: event["object"] == "web/b3" and event["new"] == "leaving")
        released, = eventually(lab, lambda event: event["object"] == "web/b3" and event["new"] == "released")
        assert released["reason"] == "its drain is over", released

        lab.configuration.write_text("nonsense")
        try:
            lab.sluice("config", "reload")
            raise AssertionError("nonsense was taken")
        except CommandFailed:
            pass
        refused, = eventually(lab, lambda event: event["type"] == "config" and event["new"] == "refused")
        raised, = eventually(lab, lambda event: event["object"] == "reload-failed" and event["new"] == "raised")
        lab.reload(wanted)
        cleared, = eventually(lab, lambda event: event["object"] == "reload-failed" and event["new"] == "cleared")
        assert refused["seq"] < raised["seq"] < cleared["seq"]

        told = events(lab)
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        assert 'sluice_events_total{type="config"} 3' in lab.api("GET", "/metrics")[1]


def test_each_of_many_changes_is_one_event_in_order():
    changes = size("EVENT_CHANGES", 100)
    # A small table: it is computed for each change.
    with Configured(settings(HOSTS, pool={"table_size": 1009}), len(HOSTS)) as lab:
        follower = lab.start("balancer", BIN / "sluice", "events", "-f", "-t", "backend", "-o", "json", "--since", "0",
                             "--socket", lab.socket)
        start = events(lab)[-1]["seq"]
        for number in range(changes):
            status, reply = lab.api("PATCH", "/v1/pools/web/backends/b1", {"weight": 101 + number})
            assert status == 200, reply
        told = events(lab, "--since", str(start))
        weights = []
        while len(weights) < changes:
            event = json.loads(follower.stdout.readline())
            if event["type"] == "backend":
                weights.append(event["new"])
    assert [event["seq"] for event in told] == list(range(start + 1, start + 1 + len(told)))
    assert weights == [f"weight {101 + number}" for number in range(changes)], weights[:5]
    report(f"{changes} changes", f"{len(weights)} events, numbers without gaps", f"{changes}")


def test_followers_survive_a_restart_of_the_daemon():
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        follower = lab.start("balancer", BIN / "sluice", "events", "-f", "-t", "daemon", "--since", "0",
                             "--socket", lab.socket)
        assert follower.stdout.readline().endswith("started: version 0.1.0\n")
        before = time.monotonic()
        lab.kill_daemon(signal.SIGTERM)
        ended = time.monotonic() - before
        assert follower.stdout.readline().endswith("  stopped\n")
        lab.start_daemon()
        assert follower.stdout.readline().endswith("started: version 0.1.0\n")
        follower.send_signal(signal.SIGINT)
        _, errors = follower.communicate(timeout=10)
    assert follower.returncode in (-signal.SIGINT, 130), follower.returncode
    assert errors.splitlines() == [
        "sluice: the daemon does not answer; trying again",
        "sluice: the daemon was restarted: events are numbered from 1 again"], errors
    report("SIGTERM with a follower", f"the daemon ended after {ended:.2f} s", "a few seconds")
    assert ended < 8


def test_many_backends_that_lose_their_route_are_one_alarm():
    lost = [f"x{number}" for number in range(1, 41)]
    wanted = settings(HOSTS)
    wanted["pools"]["web"]["backends"] += [
        {"name": name, "address": f"10.9.0.{number}", "weight": 0} for number, name in enumerate(lost, 1)]
    with Configured(wanted, len(HOSTS)) as lab:
        log = lab.run_directory / "sluiced.log"
        assert not lab.status()["alarms"], lab.status()["alarms"]
        start, began = str(events(lab)[-1]["seq"]), len(log.read_text())
        lab.on("balancer", "ip", "route", "add", "unreachable", "10.9.0.0/16")
        raised, = eventually(lab, lambda event: event["new"] == "raised", "-t", "alarm", "--since", start)
        assert sorted(raised["objects"]) == sorted(f"web/{name}" for name in lost), raised
        assert raised["reason"].startswith("40 alarms: web/x1: ") and "and 37 more" in raised["reason"], raised
        alarm, = lab.status()["alarms"]
        assert alarm["code"] == "no-next-hop" and len(alarm["objects"]) == 40, alarm
        screen = lab.sluice("status").stdout
        assert screen.count("ALARM") == 1 and "web/x1 and 39 more" in screen and len(screen.splitlines()) < 40, screen
        assert log.read_text()[began:].count("alarm raised") == 1, log.read_text()[began:]
        lab.on("balancer", "ip", "route", "delete", "unreachable", "10.9.0.0/16")
        cleared, = eventually(lab, lambda event: event["new"] == "cleared", "-t", "alarm", "--since", start)
        assert len(cleared["objects"]) == 40 and log.read_text()[began:].count("alarm cleared") == 1, cleared
        # A few stay apart.
        lab.on("balancer", "ip", "route", "add", "unreachable", "10.9.0.0/31")
        apart, = eventually(
            lab, lambda event: event["new"] == "raised" and event["seq"] > cleared["seq"], "-t", "alarm")
        assert "objects" not in apart and apart["reason"].startswith("web/x1: "), apart


def test_a_follower_that_does_not_read_affects_no_other():
    def resident(lab):
        with open(f"/proc/{lab.daemon_pid}/statm") as file:
            return int(file.read().split()[1]) * 4096

    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        stuck = [socket.socket(socket.AF_UNIX) for _ in range(32)]
        for each in stuck:
            each.connect(str(lab.socket))
            each.sendall(b"GET /v1/events?follow=1&since=0 HTTP/1.1\r\nHost: l\r\n\r\n")
            assert each.recv(16).startswith(b"HTTP/1.1 200")
        assert lab.api("GET", "/v1/events?follow=1")[0] == 503
        assert "sluice_event_subscribers 32" in lab.api("GET", "/metrics")[1]
        before, reason = resident(lab), "r" * 500
        longest = 0
        for number in range(size("EVENT_STUCK_CHANGES", 300)):
            started = time.monotonic()
            status, reply = lab.api("PATCH", "/v1/pools/web/backends/b1", {"weight": 101 + number, "reason": reason})
            longest = max(longest, time.monotonic() - started)
            assert status == 200, reply
        grown = (resident(lab) - before) / 1e6
        for each in stuck:
            each.close()
        deadline = time.monotonic() + 30
        while "sluice_event_subscribers 0" not in lab.api("GET", "/metrics")[1]:
            assert time.monotonic() < deadline, "followers that are gone are still counted"
            time.sleep(0.1)
    report("32 followers that do not read", f"{grown:.1f} MB more, slowest change {longest * 1000:.0f} ms", "< 64 MB")
    assert grown < 64
