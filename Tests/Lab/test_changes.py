# SPDX-License-Identifier: Apache-2.0
"""The CLI's output before, during and after a backend goes, and refused changes."""

import json
import os
import re
import signal
import time

from configured import Configured, member, settings
from lab import BIN, VIP4, VIP6
from results import report
from traffic import PORTS, Traffic, judge

HOSTS = ["b1", "b2", "b3"]
QUIET = 5


def drain_settings(**pool):
    return settings(HOSTS, pool={"drain": {"timeout": "2h", "quiet": f"{QUIET}s"}, **pool})


def refused(lab, code, *arguments):
    """The CLI's error for a command that the daemon must refuse."""
    done = lab.sluice(*arguments, check=False)
    assert done.returncode == code, (arguments, done)
    return done.stderr



def test_drain_wait_shows_the_flows_left_until_the_last_one_ends():
    with Configured(drain_settings(), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4, VIP6], 11, downloads=60)
        time.sleep(2)
        victim = "b2"
        true_number = traffic.established(victim)
        assert true_number > 5, "too few downloads to say anything"
        waiting = lab.start(
            "balancer", BIN / "sluice", "backend", "drain", f"web/{victim}", "--wait", "--socket", lab.socket, "-o",
            "json")
        reply = json.loads(waiting.stdout.readline())
        assert reply["effect"]["pools"][0]["emptied"] == [victim], reply
        time.sleep(4)
        row, counted = lab.rows()[victim], traffic.established(victim)
        assert (row["state"], row["share"], row["drained"]) == ("drain", 0, False), row
        assert row["flows"] == counted == true_number, (row, counted, true_number)
        stopped = time.monotonic()
        connections = traffic.stop()
        out, err = waiting.communicate(timeout=60)
        took = time.monotonic() - stopped
        assert waiting.returncode == 0, (out, err)
        lines = [json.loads(line) for line in out.splitlines()]
        assert max(line["flows"] for line in lines) == true_number and lines[-1]["drained"], lines
        assert lines[-1]["last_new_s"] > QUIET, lines[-1]
        assert lab.rows()[victim]["drained"] and "drained*" in lab.sluice("backend", "list", "web").stdout
        report(
            f"a drain under {len(connections)} downloads",
            f"{true_number} flows counted at the backend, {row['flows']} told, {len(judge(connections).broken)} broken,"
            f" drained {took:.1f} s after the last one ended", "equal numbers, 0 broken")
        assert not judge(connections).broken, judge(connections).examples()


def test_drain_wait_ends_at_the_timeout_and_on_ctrl_c_while_the_drain_continues():
    with Configured(drain_settings(), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4], 12, downloads=30)
        time.sleep(1)
        late = refused(lab, 75, "backend", "drain", "web/b1", "--wait", "--timeout", "3s")
        assert "the drain goes on" in late and "sluice backend undrain web/b1" in late, late
        assert lab.rows()["b1"]["state"] == "drain"
        waiting = lab.start(
            "balancer", BIN / "sluice", "backend", "drain", "web/b2", "--wait", "--socket", lab.socket)
        while "at least" not in waiting.stdout.readline():
            pass
        os.kill(waiting.pid, signal.SIGINT)
        _, err = waiting.communicate(timeout=10)
        assert waiting.returncode == 130 and "goes on" in err, (waiting.returncode, err)
        assert lab.rows()["b2"]["state"] == "drain"
        for name in ("b1", "b2"):
            lab.sluice("backend", "undrain", f"web/{name}")
            assert not lab.rows()[name]["drained"]
        assert not judge(traffic.stop()).broken


def test_the_floor_is_kept_and_force_goes_below_it():
    with Configured(drain_settings(require=2), len(HOSTS)) as lab:
        lab.sluice("backend", "drain", "web/b1")
        generation = lab.status()["configuration"]["generation"]
        for command in (["drain", "web/b2"], ["maint", "web/b2", "--yes"], ["set", "web/b2", "--weight", "0"],
                        ["remove", "web/b2", "--yes"], ["drain", "web/b2", "--dry-run"]):
            told = refused(lab, 1, "backend", *command)
            assert "requires 2 backends" in told and "1 would remain" in told and "--force" in told, told
            assert "of slots move" in told and "1 ready, 2 required" in told, told
        status, answer = lab.api("POST", "/v1/pools/web/backends/b2/drain")
        assert (status, answer["error"]["code"]) == (409, "pool-floor"), answer
        assert answer["error"]["effect"]["pools"][0]["slots_moved"] > 0, answer
        assert lab.status()["configuration"]["generation"] == generation
        lab.sluice("backend", "drain", "web/b2", "--force")
        assert lab.rows()["b2"]["state"] == "drain"
        # What was below the floor already may be taken further, and back.
        lab.sluice("backend", "maint", "web/b2", "--yes")
        lab.sluice("backend", "undrain", "web/b2")


def test_untracked_flows_are_reported_with_an_estimate():
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4], 19, downloads=60)
        time.sleep(3)
        for command in (["maint", "web/b1"], ["remove", "web/b1", "--force"]):
            told = lab.sluice("backend", *command, "--dry-run").stdout
            found = re.search(
                r"backend web/b1: flows of (3\d\.\d) % of slots are not counted, and break; it got about "
                r"([\d.]+) packets/s over the last .*, (\d+\.\d) % of its pool's", told)
            assert found and float(found[2]) > 1 and 1 < float(found[3]) < 99, told
        assert "not counted" not in lab.sluice("backend", "drain", "web/b1", "--dry-run").stdout
        status, reply = lab.api("POST", "/v1/pools/web/backends/b1/maint?dry_run=1")
        uncounted, = reply["effect"]["uncounted"]
        assert uncounted["backend"] == "web/b1" and uncounted["packets_per_s"] > 1, reply
        assert lab.rows()["b1"]["state"] == "ready"
        assert "not counted, and break" in lab.sluice("backend", "maint", "web/b1", "--yes").stdout
        broken = judge(traffic.stop()).broken
        report("maint of a backend whose slots are stable, 60 downloads", f"{len(broken)} broken", "some")
        assert broken, "the warning is about nothing"


def test_drain_wait_ends_when_only_silent_flows_are_left():
    with Configured(settings(HOSTS, {"mode": "all"}), len(HOSTS)) as lab:
        idle = Traffic(lab, HOSTS, [VIP4], 21, idle=30, ports=PORTS[:1])
        busy = Traffic(lab, HOSTS, [VIP4], 22, downloads=20, ports=PORTS[1:])
        time.sleep(2)
        lab.sluice("backend", "drain", "web/b1")
        time.sleep(4)
        path = "/v1/pools/web/backends/b1/drain?silent=3&quiet=1"
        drain = lab.api("GET", path)[1]
        silent, active = idle.established("b1", PORTS[:1]), busy.established("b1", PORTS[1:])
        assert silent and active, "too few connections to say anything"
        assert (drain["flows"], drain["active_flows"]) == (silent + active, active), (drain, silent, active)
        assert not drain["only_silent"] and not drain["drained"], drain
        told = refused(
            lab, 75, "backend", "drain", "web/b1", "--wait", "--silent", "3s", "--quiet", "1s", "--timeout", "2s")
        assert "is not drained" in told, told
        busy.stop_client()
        done = lab.sluice(
            "backend", "drain", "web/b1", "--wait", "--silent", "3s", "--quiet", "1s", "--timeout", "90s", timeout=120)
        # Those of downloads that have just ended may be among them.
        left = re.search(r"(\d+) flows? had no packet for 3s", done.stdout)
        assert left and silent <= int(left[1]) <= silent + active, (silent, active, done.stdout)
        assert not lab.rows()["b1"]["drained"], "that is about waiting only"
        assert not judge(idle.stop()).broken, "they live on"


def test_a_backend_with_live_flows_is_not_removed_without_force():
    with Configured(drain_settings(), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4], 13, downloads=30)
        time.sleep(1)
        told = refused(lab, 1, "backend", "remove", "web/b1", "--yes")
        assert "may have live flows" in told and "--wait" in told, told
        lab.sluice("backend", "drain", "web/b1")
        time.sleep(2)
        told = refused(lab, 1, "backend", "remove", "web/b1", "--yes")
        assert f"at least {traffic.established('b1')} flows" in told, told
        lab.sluice("backend", "remove", "web/b2", "--yes", "--force")
        assert "b2" not in lab.rows()
        connections = traffic.stop()
        kept = [each for each in connections if each.backend != "b2"]
        assert kept and all(each.is_whole for each in kept), [each for each in kept if not each.is_whole][:5]
        assert any(not each.is_whole for each in connections if each.backend == "b2")
        lab.sluice("backend", "drain", "web/b1", "--wait", "--timeout", "30s")
        lab.sluice("backend", "remove", "web/b1", "--yes")


def test_clients_of_a_gone_backend_are_reset_at_once_where_the_service_says_so():
    for mode in ("reset", "rehash"):
        # With every flow tracked: a RST goes only to flows that an entry gives to the gone backend.
        with Configured(settings(HOSTS, {"on_gone": mode, "mode": "all"}), len(HOSTS)) as lab:
            traffic = Traffic(lab, HOSTS, [VIP4, VIP6], 14, downloads=60)
            time.sleep(2)
            answered = lab.verdict_counts()["answered_reset"]
            began = time.monotonic()
            lab.sluice("backend", "maint", "web/b2", "--yes")
            time.sleep(5)
            connections = traffic.stop()
            cut = [each for each in connections if each.backend == "b2"]
            reset = [each for each in cut if "Reset" in each.outcome or "reset" in each.outcome]
            longest = max(each.ended - began for each in cut)
            answered = lab.verdict_counts()["answered_reset"] - answered
            report(
                f"on_gone: {mode}, {len(cut)} downloads of a backend that goes to maint, both families",
                f"{len(reset)} reset, the last after {longest:.1f} s, {answered} RSTs by the balancer; "
                f"{len(judge([each for each in connections if each not in cut]).broken)} others broken",
                "all reset within 4 s, 0 others broken")
            assert {each.family for each in cut} == {4, 6}, cut
            assert not judge([each for each in connections if each not in cut]).broken
            if mode == "reset":
                assert len(reset) == len(cut) and longest < 4, [each.outcome for each in cut]
                assert answered >= len(cut)
            else:
                assert answered == 0


def test_dry_runs_and_diffs_show_the_effect_of_a_change():
    with Configured(settings(HOSTS, {"mode": "all"}), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4], 15, downloads=30)
        time.sleep(2)
        digest, flows = lab.digest(), traffic.established("b1")
        for verb, breaks in (("drain", ", none of them breaks"), ("maint", f", {flows} of them break")):
            told = lab.sluice("backend", verb, "web/b1", "--dry-run").stdout
            assert "backend web/b1 loses all of its slots" in told and "services touched: datagrams" in told, told
            assert flows <= concerned(told) <= 30 and breaks in told, (flows, told)
        wanted = lab.settings
        wanted["pools"]["web"]["backends"] = [member("b2"), member("b3")]
        wanted["services"][1]["affinity"] = {"mode": "none"}
        lab.configuration.write_text(json.dumps(wanted))
        told = lab.sluice("config", "diff").stdout
        for line in ("- backend web/b1", "backend web/b1 loses all of its slots", ", none of them breaks",
                     "warning: service datagrams has affinity none"):
            assert line in told, (line, told)
        machine = json.loads(lab.sluice("config", "diff", "-o", "json").stdout)["reload"]
        assert machine["pools"][0]["emptied"] == ["b1"] and machine["flows_concerned"] >= flows, machine
        assert lab.sluice("config", "reload", "--dry-run").stdout.count("loses all of its slots") == 1
        assert lab.digest() == digest
        assert not judge(traffic.stop()).broken


def concerned(told):
    return int(re.search(r"tracked flows concerned: up to (\d+)", told)[1])


def test_the_diff_of_a_candidate_knows_the_drop_ins():
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        drop_ins = lab.run_directory / "conf.d"
        drop_ins.mkdir()
        (drop_ins / "extra.yaml").write_text(
            'pools: { extra: { backends: [{ name: b1, address: 10.0.11.2 }] } }\n'
            'services: [{ name: extra, vips: ["10.100.0.9"], ports: ["99/tcp"], pool: extra }]\n')
        lab.sluice("config", "reload")
        status, check = lab.api("POST", "/v1/config/check", lab.settings)
        assert (status, check["pools"], check["services"]) == (200, 2, 7), check
        status, diff = lab.api("POST", "/v1/config/diff", lab.settings)
        assert status == 200 and diff["reload"]["changes"] == [], diff


def test_a_changed_seed_hash_or_table_size_is_refused():
    with Configured(settings(HOSTS, pool={"table_size": 1009}), len(HOSTS)) as lab:
        guarded = (({"table_size": 2003}, "table_size 1009 -> 2003"), ({"hash": "source"}, "hash flow -> source"))
        for change, cause in guarded:
            digest, wanted = lab.digest(), lab.settings
            wanted["pools"]["web"].update(change)
            lab.configuration.write_text(json.dumps(wanted))
            told = refused(lab, 1, "config", "reload")
            assert cause in told and "config reload --force" in told and "of slots move" in told, told
            assert cause in lab.sluice("config", "diff").stdout
            os.kill(lab.daemon_pid, signal.SIGHUP)
            time.sleep(0.7)
            log = (lab.run_directory / "sluiced.log").read_text().splitlines()[-1]
            assert cause in log and "config reload --force" in log, log
            assert lab.digest() == digest and not lab.status()["configuration"]["last_reload_ok"]
            starts_only_with_force(lab, cause)
        wanted["pools"]["web"]["hash"] = "flow"
        lab.configuration.write_text(json.dumps(wanted))
        lab.sluice("config", "reload", "--force")
        assert forwards(lab)
        wanted["hash_seed"] = "another secret that nobody knows"
        lab.configuration.write_text(json.dumps(wanted))
        told = refused(lab, 1, "config", "reload")
        assert "hash_seed" in told and "--force" in told, told
        starts_only_with_force(lab, "hash_seed")


def starts_only_with_force(lab, cause):
    """The daemon refuses to start, and forwarding continues unchanged."""
    lab.kill_daemon(signal.SIGTERM)
    done = lab.on("balancer", BIN / "sluiced", "--config", lab.configuration, check=False, timeout=15)
    assert done.returncode == 70 and cause in done.stderr and "sluiced --force" in done.stderr, done
    assert forwards(lab)
    lab.start_daemon(options=["--force"])
    assert forwards(lab)


def forwards(lab):
    traffic = Traffic(lab, HOSTS, [VIP4], 16, rate=50, ports=PORTS)
    time.sleep(1)
    connections = traffic.stop()
    return len(connections) > 20 and not judge(connections).broken


def test_0_downloads_break_when_a_service_moves_to_another_pool():
    wanted = settings(HOSTS[:2])
    wanted["pools"]["other"] = {"backends": [member("b2"), member("b3")]}
    wanted["services"].append({"name": "rest", "vips": ["10.100.0.9"], "ports": ["99/tcp"], "pool": "other"})
    with Configured(wanted, len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4, VIP6], 17, downloads=50)
        time.sleep(2)
        old = sum(traffic.established(host) for host in HOSTS)
        wanted = lab.settings
        wanted["services"][0]["pool"] = "other"
        lab.reload(wanted)
        later = Traffic(lab, [], [VIP4, VIP6], 18, downloads=30)
        time.sleep(5)
        connections, new = traffic.stop_client(), later.stop_client()
        traffic.stop_servers()
        report(
            f"{old} downloads while their service moves to another pool, {len(new)} begun after it",
            f"{len(judge(connections + new).broken)} broken, backends {sorted({each.backend for each in new})}",
            "0 broken, b2 and b3 only")
        assert old == 50 and not judge(connections + new).broken, judge(connections + new).examples()
        assert {each.backend for each in connections} == {"b1", "b2"} and {each.backend for each in new} == {"b2", "b3"}
