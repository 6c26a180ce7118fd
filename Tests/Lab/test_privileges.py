# SPDX-License-Identifier: Apache-2.0
"""The daemon without privileges: it keeps no capability, works without one, and needs few to start."""

import grp
import json
import os
import signal
import time
from pathlib import Path

from balancing import Balancer, lost
from configured import Configured, settings
from lab import BIN
from scheduling import paired
from sizes import size

NOBODY = 65534
RATE = size("RATE", 10_000)
LOADING = "-all,+bpf,+net_admin"
KEPT_NOTHING = {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0, "NoNewPrivs": 1}


def threads(lab):
    """What each thread of the daemon may do."""
    found = {}
    for task in Path(f"/proc/{lab.daemon_pid}/task").iterdir():
        pairs = (line.split(":\t") for line in (task / "status").read_text().splitlines())
        found[task.name] = {
            name: int(value, 16) for name, value in pairs if name.startswith("Cap") or name == "NoNewPrivs"}
    return found


def assert_none_keeps_anything(lab, bounding=0):
    found = threads(lab)
    assert len(found) > 2, "the daemon has threads"
    for task, sets in found.items():
        assert sets == {**KEPT_NOTHING, "CapBnd": bounding}, (task, sets)
    return len(found)


def log(lab):
    return (lab.run_directory / "sluiced.log").read_text()


def test_no_thread_keeps_a_capability():
    with Balancer() as lab:
        count = assert_none_keeps_anything(lab)
        assert lab.requests(50, 8)["failed"] == 0
        for _ in range(5):
            lab.sluice("config", "reload", "--wait")
        count = max(count, assert_none_keeps_anything(lab))
        print(f"  {count} threads: no capability in any set, none to be had (no_new_privs)")


@paired
def test_a_next_hop_that_is_new_after_start_is_found_and_kept_fresh():
    with Configured(settings(["b1", "b2", "b3"], ports=(80,)), 4) as lab:
        assert_none_keeps_anything(lab)
        for host, *command in (
            ("router", "ip", "address", "add", "10.0.2.9/24", "dev", "balancer"),
            ("balancer", "ip", "route", "add", "10.0.14.0/24", "via", "10.0.2.9"),
            # Known for about a second, so that the test sees entries confirmed many times.
            ("balancer", "sysctl", "-qw", "net.ipv4.neigh.eth0.base_reachable_time_ms=1000",
             "net.ipv4.neigh.eth0.delay_first_probe_time=1"),
            ("balancer", "ip", "neigh", "flush", "dev", "eth0"),
        ):
            lab.on(host, *command)
        lab.sluice("backend", "add", "web/b4", "--address", "10.0.14.2")
        row = lab.rows()["b4"]
        assert row["via"] == "10.0.2.9" and row["mac"] and "trouble" not in row, row
        result = lab.requests(200, 8)
        assert result["failed"] == 0 and "b4" in result["by"], result
        for address in ("10.0.2.1", "10.0.2.9"):
            assert_confirmed_again_and_again(lab, address)


def assert_confirmed_again_and_again(lab, address):
    ages = []
    for _ in range(40):
        time.sleep(0.2)
        entry = json.loads(lab.on("balancer", "ip", "-j", "-s", "neigh", "show", address, "dev", "eth0").stdout)
        assert entry and "lladdr" in entry[0], (address, entry)
        ages.append(entry[0]["confirmed"])
    print(f"  {address}: confirmed {max(ages)} s ago at most, over 8 s in which an entry is sure for about 1 s")
    assert max(ages) <= 5, ages


@paired
def test_changes_drain_reload_restart_work_without_capabilities():
    with Balancer() as lab:
        def changes():
            lab.sluice("backend", "drain", "web/b1")
            lab.sluice("backend", "undrain", "web/b1")
            lab.sluice("backend", "set", "web/b2", "--weight", 50)
            lab.edit_configuration("{ name: b3, address: 10.0.13.2 }", "{ name: b3, address: 10.0.13.2, weight: 40 }")
            lab.sluice("config", "reload", "--wait")
            for _ in range(2):
                lab.kill_daemon()
                lab.start_daemon()
                assert_none_keeps_anything(lab)

        sent, received = lab.probe(5, changes, RATE)
        print(f"  drain, weights, reload, 2 restarts: {sent['sent']} probes, lost {lost(sent, received)}")
        assert lost(sent, received) == 0 and sent["errors"] == 0


@paired
def test_bpf_and_net_admin_suffice_to_start():
    with Balancer() as lab:
        lab.sluice("detach", "--yes")
        lab.kill_daemon()
        lab.start_daemon("/usr/bin/setpriv", f"--inh-caps={LOADING}", f"--bounding-set={LOADING}", "--ambient-caps=-all")
        assert "with speculation barriers (no CAP_PERFMON)" in log(lab)
        assert lab.status()["interface"]["full_speed"] is False
        # Without CAP_SETPCAP the bounding set stays; no_new_privs makes it useless.
        assert_none_keeps_anything(lab, bounding=1 << 39 | 1 << 12)
        assert lab.requests(100, 8)["failed"] == 0
        sent, received = lab.probe(2, lambda: None, RATE)
        print(f"  CAP_BPF and CAP_NET_ADMIN: 100 requests, {sent['sent']} probes, lost {lost(sent, received)}")
        assert lost(sent, received) == 0


def test_a_user_with_ambient_capabilities_can_run_it_as_the_systemd_unit_does():
    with Balancer() as lab:
        lab.sluice("detach", "--yes")
        lab.kill_daemon(signal.SIGTERM)
        (lab.run_directory / "state").mkdir(exist_ok=True)
        for path in (lab.pins, lab.run_directory, lab.configuration, *(lab.run_directory / "state").glob("**")):
            os.chown(path, NOBODY, NOBODY)
        wanted = "+bpf,+net_admin,+perfmon"
        lab.start_daemon(
            "/usr/bin/setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
            f"--inh-caps={wanted}", f"--ambient-caps={wanted}", f"--bounding-set=-all,{wanted}")
        assert_none_keeps_anything(lab, bounding=1 << 38 | 1 << 39 | 1 << 12)
        assert lab.status()["interface"]["full_speed"] is True
        lab.sluice("backend", "drain", "web/b1")
        assert "b1" not in lab.requests(100, 8)["by"]
        lab.kill_daemon()
        # The other way round is refused: what this user pinned is not root's to change, once root has no capability.
        for path in (lab.pins, lab.run_directory, lab.configuration):
            os.chown(path, 0, 0)
        lab.socket.unlink()
        done = lab.on("balancer", BIN / "sluiced", "--config", lab.configuration, check=False, timeout=15)
        assert done.returncode == 70 and "chown" in done.stderr, done
        assert lab.requests(50, 8)["failed"] == 0


def test_a_file_that_could_not_be_read_later_stops_the_start():
    with Balancer() as lab:
        os.chown(lab.configuration, NOBODY, NOBODY)
        lab.configuration.chmod(0o600)
        lab.kill_daemon()
        done = lab.on("balancer", BIN / "sluiced", "--config", lab.configuration, check=False, timeout=15)
        assert done.returncode == 65 and "sluiced.yaml" in done.stderr, done
        assert lab.requests(50, 8)["failed"] == 0


def test_sockets_go_to_their_group():
    group = next(entry for entry in grp.getgrall() if entry.gr_gid not in os.getgroups() and entry.gr_gid != 0)
    wanted = settings(["b1", "b2", "b3"])
    wanted["control"]["group"] = group.gr_name
    with Configured(wanted) as lab:
        status = lab.socket.stat()
        assert (status.st_gid, status.st_mode & 0o777) == (group.gr_gid, 0o660), (group, status, log(lab))
        assert_none_keeps_anything(lab)
