#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What config/systemd does under systemd. scripts/kernel-vm/systemd runs it in a guest of its own: it changes the machine.

One backend decapsulates by sluice-backend, the other one by the kernel's own tunnel.
"""

import re
import sys
import time
import traceback

from deployment import BACKENDS, CONFIGURATION, Deployment, until

DROP_IN = "/etc/systemd/system/sluiced.service.d/failing.conf"


def unit(d, *names):
    """Properties of the unit."""
    text = d.balancer.root("systemctl", "show", "sluiced", *(f"--property={name}" for name in names)).stdout
    values = dict(line.split("=", 1) for line in text.splitlines())
    return [values[name] for name in names]


def journal(d):
    return d.balancer.root("journalctl", "-u", "sluiced", "--no-pager").stdout


def steps_forward(d):
    d.follow(kernel_tunnel=("web2",))
    # The command that starts the unit returns when packets are forwarded.
    assert d.answering(1) <= set(BACKENDS)
    d.await_all_backends()
    assert d.upload(300_000), "an upload through the VIP"


def unit_is_active(d):
    assert unit(d, "ActiveState", "User", "NRestarts") == ["active", "sluice", "0"]
    assert d.balancer.root("systemctl", "is-enabled", "sluiced").stdout.strip() == "enabled"
    screen = d.cli("status").stdout
    assert re.search("interface +eth0: native XDP.*full speed", screen), screen
    # With systemd's own view of the file system, what the daemon pinned is the user's.
    owners = d.balancer.root("find", "/sys/fs/bpf/sluice", "-printf", "%u %m %p\n").stdout
    assert all(line.startswith("sluice ") for line in owners.splitlines()) and "/link" in owners, owners
    # Nothing in the journal but the daemon's own lines.
    assert "Failed to" not in journal(d), journal(d)


def reload_takes_the_file(d):
    before = d.balancer.read(CONFIGURATION)
    d.balancer.write(CONFIGURATION, before.replace("name: web1, ", "name: web1, weight: 50, "))
    d.balancer.root("systemctl", "reload", "sluiced")
    assert re.search(r"web/web1 +\S+ +50 ", d.cli("backend", "list").stdout)
    d.balancer.write(CONFIGURATION, before)
    d.balancer.root("systemctl", "reload", "sluiced")


def killed_is_started_again(d):
    before, = unit(d, "MainPID")
    d.balancer.root("kill", "-KILL", before)
    assert d.answering(6) <= set(BACKENDS)
    until(lambda: unit(d, "ActiveState", "SubState") == ["active", "running"] and unit(d, "MainPID") != [before],
          "the unit is active again")
    assert unit(d, "NRestarts") == ["1"]
    d.await_all_backends()


def quick_failures_do_not_end_it(d):
    """Twelve failures in a second or two; systemd's default gives up after five in ten seconds."""
    d.balancer.root("mkdir", "-p", DROP_IN.rsplit("/", 1)[0])
    d.balancer.write(DROP_IN, "[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=50ms\n")
    d.balancer.root("systemctl", "daemon-reload")
    d.balancer.root("kill", "-KILL", *unit(d, "MainPID"))
    until(lambda: int(unit(d, "NRestarts")[0]) >= 12 or unit(d, "ActiveState") == ["failed"], "twelve failures")
    assert unit(d, "ActiveState") != ["failed"], journal(d)
    assert d.answering(6) <= set(BACKENDS)
    d.balancer.root("rm", DROP_IN)
    d.balancer.root("systemctl", "daemon-reload")
    until(lambda: unit(d, "ActiveState", "SubState") == ["active", "running"], "the unit is active again")
    d.await_all_backends()


def a_mistake_is_not_tried_again(d):
    before = d.balancer.read(CONFIGURATION)
    d.balancer.write(CONFIGURATION, before.replace("backends:", "backend:", 1))
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    assert d.balancer.root("systemctl", "restart", "sluiced", check=False).returncode != 0
    assert unit(d, "ActiveState", "ExecMainStatus") == ["failed", "65"], unit(d, "ActiveState", "ExecMainStatus")
    restarts = unit(d, "NRestarts")
    time.sleep(5)
    assert unit(d, "ActiveState") == ["failed"] and unit(d, "NRestarts") == restarts
    said = d.balancer.root("journalctl", "-u", "sluiced", "--no-pager", "--since", started).stdout
    assert len(re.findall(rf"{CONFIGURATION}:\d+:\d+: error: .*backend", said)) == 1, said
    assert d.answering(6) <= set(BACKENDS), "forwarding goes on"
    d.balancer.write(CONFIGURATION, before)
    d.balancer.root("systemctl", "start", "sluiced")
    d.await_all_backends()


def an_unreadable_seed_is_named(d):
    """Mode 0600 of root, as the seed is where only root is thought of."""
    d.balancer.root("chmod", "600", "/etc/sluice/seed")
    assert d.balancer.root("systemctl", "restart", "sluiced", check=False).returncode != 0
    said = journal(d)
    assert "cannot read /etc/sluice/seed: Permission denied" in said and "chgrp sluice /etc/sluice/seed" in said, said
    d.balancer.root("chmod", "640", "/etc/sluice/seed")
    d.balancer.root("systemctl", "start", "sluiced")


def stopped_forwards_on(d):
    d.balancer.root("systemctl", "stop", "sluiced")
    assert unit(d, "ActiveState", "Result") == ["inactive", "success"]
    d.await_all_backends()
    d.balancer.root("systemctl", "start", "sluiced")
    assert "adopted the running maps" in journal(d)
    d.await_all_backends()


def detached_and_started_again(d):
    """Root detaches what user sluice pinned; the pin directory still belongs to the user."""
    d.balancer.shell("sudo systemctl stop sluiced; sudo sluiced --detach")
    assert d.get(seconds=1, check=False) == ""
    d.balancer.shell("sudo systemctl start sluiced")
    d.await_all_backends()


CHECKS = (
    ("README's steps, followed as they stand, forward to both kinds of backend", steps_forward),
    ("the unit is active and enabled, as user sluice", unit_is_active),
    ("systemctl reload takes the changed file", reload_takes_the_file),
    ("after kill -9 it is started again", killed_is_started_again),
    ("a dozen quick failures do not end it", quick_failures_do_not_end_it),
    ("a mistake in the configuration is not tried again, and the journal names its place", a_mistake_is_not_tried_again),
    ("a seed that the user cannot read is named", an_unreadable_seed_is_named),
    ("systemctl stop leaves forwarding", stopped_forwards_on),
    ("sluiced --detach ends it, and the unit starts again", detached_and_started_again),
)


def main():
    passed = failed = 0
    with Deployment(machine=True) as d:
        for name, check in CHECKS:
            started = time.monotonic()
            try:
                check(d)
            except Exception:
                failed += 1
                print(f"FAIL {name} ({time.monotonic() - started:.1f} s)", flush=True)
                print("  " + traceback.format_exc().rstrip().replace("\n", "\n  "), flush=True)
                print(d.balancer.root("journalctl", "-u", "sluiced", "--no-pager", "-n", 30, check=False).stdout)
                if check is steps_forward:
                    break
            else:
                passed += 1
                print(f"PASS {name} ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
