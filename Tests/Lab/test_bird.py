# SPDX-License-Identifier: Apache-2.0
"""A reboot and a drain of one of two balancers that announce the VIPs by BGP, under connections that live long."""

import time

from bird import Announced, await_up
from checked import check, checked_settings
from lab import VIP4, VIP6
from results import report
from sizes import size
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3"]
LEARNS = {"default": {}, "30 s": {"learn": "30s"}}
# As the defaults, only faster: the first verdicts come one after the other.
CHECK = check("tcp", port=7000, interval="1s", timeout="500ms", rise=2, fall=3, jitter="20%")


def wanted(affinity):
    return {**(settings := checked_settings(HOSTS, CHECK)),
            "services": [{**service, "affinity": affinity} for service in settings["services"]]}


def served(lab, rate=0):
    """Long connections over both balancers, and so many new ones a second."""
    traffic = Traffic(
        lab, [], [VIP4, VIP6], size("SEED", 6), idle=size("BIRD_CONNECTIONS", 300), rate=rate, lives=(6.0,))
    time.sleep(2)
    traffic.ping_idle()
    time.sleep(1)
    return traffic


def forwarded(lab):
    return {balancer.host: balancer.verdict_counts()["forwarded"] for balancer in (lab, lab.peer)}


def rebooted(learn, keeps_state):
    with Announced(wanted(LEARNS[learn]), HOSTS) as lab:
        traffic = served(lab)
        before = forwarded(lab)
        lab.withdraw(lab.peer)
        traffic.ping_idle()
        ready = lab.reboot(lab.peer, keeps_state)
        await_up(lab.peer)
        lab.announce(lab.peer)
        time.sleep(0.5)
        traffic.ping_idle()
        time.sleep(1)
        after = forwarded(lab)
        digests = {balancer.digest() for balancer in (lab, lab.peer)}
        judgement = judge(traffic.stop_client())
    report(
        f"two balancers behind BIRD, learn {learn}: one withdrawn, rebooted with"
        f" {'' if keeps_state else 'no '}state kept, announced again; {judgement.total} connections",
        f"{len(judgement.broken)} broken, ready after {ready:.1f} s", "0", size("SEED", 6),
        f"forwarded before {before}, after {after}\n{judgement.examples()}")
    assert not judgement.broken, judgement.examples()
    assert len(digests) == 1, digests
    assert all(count > 100 for each in (before, after) for count in each.values()), (before, after)


def test_a_reboot_of_a_withdrawn_balancer_breaks_nothing_with_the_default_learn():
    rebooted("default", keeps_state=True)


def test_a_reboot_of_a_withdrawn_balancer_breaks_nothing_with_a_learn_of_30_s():
    rebooted("30 s", keeps_state=False)


def drained(learn):
    with Announced(wanted(LEARNS[learn]), HOSTS) as lab:
        traffic = served(lab, rate=30)
        for balancer in (lab, lab.peer):
            balancer.sluice("backend", "drain", "web/b3")
        drained_at = time.monotonic()
        time.sleep(size("BIRD_LEAVES_AFTER", 2))
        traffic.ping_idle()
        lab.withdraw(lab.peer)
        time.sleep(0.5)
        traffic.ping_idle()
        time.sleep(1)
        lab.announce(lab.peer)
        time.sleep(0.5)
        judgement = judge(traffic.stop_client())
    report(
        f"two balancers behind BIRD, learn {learn}: b3 drained on both,"
        f" {size('BIRD_LEAVES_AFTER', 2)} s later one leaves and comes back; {judgement.total} connections",
        f"{len(judgement.broken)} broken, {sum(each.started > drained_at for each in judgement.broken)} of them begun"
        " after the drain", "shown only", size("SEED", 6), judgement.examples())


def test_a_drain_while_a_balancer_leaves():
    """No requirement: flows of a slot that changed are known to the balancer that saw them. The counts are printed."""
    for learn in LEARNS:
        drained(learn)
