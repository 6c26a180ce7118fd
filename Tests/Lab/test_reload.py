# SPDX-License-Identifier: Apache-2.0
"""What a reload reports, refuses and logs, and the log line of every change."""

import json
import os
import re
import signal
import time

from balancing import UnixConnection
from configured import Configured, settings
from lab import BIN, VIP4
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3"]


def write(lab, wanted):
    lab.configuration.write_text(json.dumps(wanted, indent=1))


def log(lab):
    return (lab.run_directory / "sluiced.log").read_text()


def logged(lab, *parts, since=0):
    """Lines of the log that hold all parts."""
    return [line for line in log(lab)[since:].splitlines() if all(part in line for part in parts)]


def eventually(condition, what, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def hang_up(lab):
    """SIGHUP, and the log from then on until the reload is over."""
    start = len(log(lab))
    os.kill(lab.daemon_pid, signal.SIGHUP)
    eventually(
        lambda: logged(lab, "configuration reloaded", since=start) or logged(lab, "not applied", since=start),
        "the reload is not over")
    return log(lab)[start:]


def tag(lab):
    """The state's ETag, as any answer has it."""
    connection = UnixConnection(lab.socket)
    connection.request("GET", "/v1/pools")
    answer = connection.getresponse()
    answer.read()
    return answer.headers["ETag"]


def request_if(lab, tag, path):
    connection = UnixConnection(lab.socket)
    connection.request("POST", path, headers={"If-Match": tag})
    return connection.getresponse().status


def test_every_changed_key_is_shown_before_and_logged_after():
    with Configured(settings(HOSTS, pool={"check": {"type": "tcp", "on_start": "up"}}), len(HOSTS)) as lab:
        wanted = lab.settings
        pool = wanted["pools"]["web"]
        pool.update(require=1, on_insufficient="all", settle="3h", guard={"share": "30%"}, drain={"quiet": "9s"})
        pool["check"].update(interval="3s", fall=5)
        wanted["services"][0]["affinity"] = {"learn": "7s", "on_gone": "reset"}
        write(lab, wanted)
        lines = [
            "pool web require 0 -> 1", "pool web on_insufficient withdraw -> all", "pool web settle 2h -> 3h",
            "pool web guard.share 50% -> 30%", "pool web drain.quiet 1m -> 9s", "pool web check.interval 2s -> 3s",
            "pool web check.fall 3 -> 5", "service streams affinity.learn 2h -> 7s",
            "service streams affinity.on_gone rehash -> reset"]
        for command in (["diff"], ["reload", "--dry-run"], ["reload"]):
            told = lab.sluice("config", *command).stdout
            for line in lines:
                assert f"~ {line}" in told, (command, line, told)
        for line in lines:
            key, values = line.rsplit(" ", 3)[0], line.rsplit(" ", 3)[1:]
            assert logged(lab, f'object="{key}"', f"old={values[0]}", f"new={values[2]}", 'by="root (uid 0'), (
                line, log(lab))
        assert "a reload would change nothing" in lab.sluice("config", "diff").stdout
        # The check goes: without it the death is not found.
        pool["check"] = {"type": "none"}
        write(lab, wanted)
        assert "~ pool web check.type tcp -> none" in lab.sluice("config", "reload").stdout
        # What a runtime change hides is told, too.
        lab.sluice("backend", "set", "web/b1", "--weight", "50")
        pool["backends"][0]["weight"] = 80
        write(lab, wanted)
        told = lab.sluice("config", "diff").stdout
        assert "~ backend web/b1 weight 100 -> 80 (a runtime change is in force" in told, told


def test_keys_that_need_a_restart_are_reported():
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        assert lab.sluice("config", "reload").returncode == 0
        wanted = lab.settings
        wanted["limits"]["flows"] = 70000
        wanted["interfaces"][0]["mode"] = "native"
        wanted["pools"]["web"]["settle"] = "3h"
        write(lab, wanted)
        for command in (["reload", "--dry-run"], ["reload"], ["reload"]):
            done = lab.sluice("config", *command, check=False)
            assert done.returncode == 3, (command, done)
            assert "~ limits.flows 65536 -> 70000 (after a restart)" in done.stdout, done.stdout
            assert "restart required for: interfaces[0].mode, limits.flows" in done.stdout, done.stdout
        status, reply = lab.api("POST", "/v1/config/reload")
        assert (status, reply["restart_required"]) == (200, ["interfaces[0].mode", "limits.flows"]), reply
        assert logged(lab, "a restart of sluiced is required", "limits.flows")
        assert lab.status()["configuration"]["restart_required"] == reply["restart_required"]
        assert "settle: 3h" in lab.sluice("config", "show").stdout, "all else is in force"
        lab.kill_daemon(signal.SIGTERM)
        lab.start_daemon()
        assert lab.sluice("config", "reload").returncode == 0
        assert lab.status()["flows_capacity"] == 70000


def test_an_etag_belongs_to_one_run_and_counts_only_changes():
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        first = tag(lab)
        generation = lab.status()["configuration"]["generation"]
        lab.sluice("config", "reload")
        hang_up(lab)
        assert tag(lab) == first and lab.status()["configuration"]["generation"] == generation
        lab.sluice("backend", "undrain", "web/b1")
        assert tag(lab) == first, "it was not drained"
        lab.kill_daemon(signal.SIGTERM)
        lab.start_daemon()
        assert lab.status()["configuration"]["generation"] == generation
        assert request_if(lab, first, "/v1/pools/web/backends/b1/drain") == 412, "another run's generation"
        assert lab.rows()["b1"]["state"] == "ready"
        assert request_if(lab, tag(lab), "/v1/pools/web/backends/b1/drain") == 200
        assert lab.rows()["b1"]["state"] == "drain"


def test_the_log_says_who_changed_what_and_why():
    checked = {"check": {"type": "tcp", "interval": "200ms", "timeout": "100ms", "on_start": "up"},
               "guard": {"share": "100%"}}
    with Configured(settings(HOSTS, pool=checked), len(HOSTS)) as lab:
        Traffic(lab, HOSTS, [VIP4], 32)
        by = 'by="root (uid 0, pid '
        steps = [
            (["backend", "drain", "web/b2", "--reason", "kernel update"],
             ("object=\"backend web/b2\"", 'old="state ready"', 'new="state drain"', by, 'reason="kernel update"')),
            (["backend", "undrain", "web/b2"], ("object=\"backend web/b2\"", 'new="state ready"', by)),
            (["backend", "set", "web/b1", "--weight", "50", "--reason", "slow"],
             ("object=\"backend web/b1\"", 'old="weight 100"', 'new="weight 50"', by, "reason=slow")),
            (["backend", "add", "web/b4", "--address", "10.0.14.2", "--state", "maint", "--reason", "more"],
             ("object=\"backend web/b4\"", 'new="added 10.0.14.2"', by, "reason=more")),
            (["backend", "remove", "web/b4", "--yes", "--force", "--reason", "less"],
             ("object=\"backend web/b4\"", "new=leaving", by, "reason=less")),
        ]
        for command, parts in steps:
            lab.sluice(*command)
            assert len(logged(lab, *parts)) == 1, (command, log(lab))
        # By a file and a signal.
        wanted = lab.settings
        wanted["services"].append({"name": "rest", "vips": ["10.100.0.9"], "ports": ["99/tcp"], "pool": "web"})
        write(lab, wanted)
        told = hang_up(lab)
        assert re.search(r'object="service rest 10\.100\.0\.9:99/tcp -> web".*|.*new=added', told), told
        assert "by=SIGHUP" in told and 'reason=reload' in told, told
        # By health.
        lab.on("b3", "ip", "link", "set", "eth0", "down")
        eventually(lambda: logged(lab, 'object="backend web/b3"', 'new="out of use"', "by=health", "reason="),
                   "health took b3 out, and no line says so", 20)
        lab.sluice("detach", "--yes")
        assert logged(lab, "detached", by), log(lab)


def test_services_in_use_do_not_end_by_mistake():
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4], 31, downloads=20)
        time.sleep(2)
        wanted = lab.settings
        without = {**wanted, "services": [each for each in wanted["services"] if each["name"] != "streams"]}
        for text, words in ((without, ("services would end that are in use", "streams 10.100.0.1:", "packets/s")),
                            ({**wanted, "services": []}, ("the file has no services",)),
                            ({**wanted, "services": [], "pools": {}}, ("the file has no services and no pools",))):
            write(lab, text)
            for options in ([], ["--dry-run"]):
                done = lab.sluice("config", "reload", *options, check=False)
                assert done.returncode == 1, (text, done)
                assert all(word in done.stderr for word in words) and "--force" in done.stderr, done.stderr
                assert "- service streams" in done.stderr, done.stderr
            told = hang_up(lab)
            assert all(word in told for word in words) and "config reload --force" in told, told
            assert words[0] in lab.sluice("config", "diff").stdout
        status, answer = lab.api("POST", "/v1/config/reload")
        assert (status, answer["error"]["code"]) == (409, "service-in-use"), answer
        # A daemon that was just started does not know how lately.
        write(lab, wanted)
        lab.sluice("config", "reload")
        lab.kill_daemon(signal.SIGTERM)
        lab.start_daemon()
        write(lab, without)
        done = lab.sluice("config", "reload", check=False)
        assert done.returncode == 1 and "streams" in done.stderr, done
        # Nor does a start end all of them.
        write(lab, {**wanted, "services": []})
        lab.kill_daemon(signal.SIGTERM)
        done = lab.on("balancer", BIN / "sluiced", "--config", lab.configuration, check=False, timeout=15)
        assert done.returncode == 70 and "has no services" in done.stderr and "--force" in done.stderr, done
        write(lab, wanted)
        lab.start_daemon()
        # Nobody's service may go, and one that is used may with force.
        assert not judge(traffic.stop()).broken
        write(lab, {**wanted, "services": [each for each in wanted["services"] if each["name"] != "datagrams"]})
        lab.sluice("config", "reload")
        write(lab, {**wanted, "services": []})
        lab.sluice("config", "reload", "--force")
        assert lab.status()["services"] == 0
