# SPDX-License-Identifier: Apache-2.0
"""README.md's deployment, followed as it stands."""

import re

import readme
from deployment import BACKENDS, USER, Deployment


def test_the_deployment_works_as_it_stands():
    with Deployment() as d:
        d.follow()
        # The command that starts the unit returns when packets are forwarded.
        assert d.answering() <= set(BACKENDS)
        d.await_all_backends()
        assert d.upload()
        screen = d.cli("status").stdout
        assert "native XDP" in screen and "full speed" in screen and "ALARM" not in screen, screen
        look_around(d)
        stopping_leaves_forwarding(d)
        detaching_raises_an_alarm(d)
        detaching_without_a_daemon(d)


def look_around(d):
    """The commands that README.md says to look with."""
    commands = next(step for step in readme.steps() if "Look" in step.title).commands
    assert len(commands) >= 5, commands
    for command in commands:
        done = d.balancer.shell(f"timeout 2 {command}" if "--follow" in command else command, check=False)
        assert done.returncode == (124 if "--follow" in command else 0), (command, done)
    assert any("drain" in command for command in commands)
    assert d.answering() == {"web2"}
    d.cli("backend", "undrain", "web/web1")
    d.await_all_backends()


def stopping_leaves_forwarding(d):
    for verb in ("stop", "start"):
        d.balancer.shell(f"sudo systemctl {verb} sluiced")
        d.await_all_backends()


def detaching_without_a_daemon(d):
    d.balancer.shell("sudo systemctl stop sluiced; sudo sluiced --detach")
    assert d.get(seconds=1, check=False) == ""
    d.balancer.shell("sudo systemctl start sluiced")
    d.await_all_backends()


def detaching_raises_an_alarm(d):
    d.cli("detach", "--yes")
    assert d.get(seconds=1, check=False) == ""
    screen = d.cli("status").stdout
    assert f"not attached, nothing is forwarded: detached by {USER}" in screen, screen
    assert "ALARM detached, eth0, since" in screen and f"nothing is forwarded: detached by {USER}" in screen, screen
    assert 'sluice_alarms{code="detached"} 1' in d.cli("metrics").stdout
    cure = re.search(r"ALARM detached.*\n +cure: (.*)", screen)[1]
    d.balancer.shell(cure)
    d.await_all_backends()
    assert "ALARM" not in d.cli("status").stdout
