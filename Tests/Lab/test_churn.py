# SPDX-License-Identifier: Apache-2.0
"""Connections of backends that stay up survive all changes of other backends."""

import json
import random
import time

from checked import Checked, check
from configured import member, settings
from lab import VIP4, VIP6
from results import report
from scheduling import alone
from servers import Servers
from sizes import size
from test_upgrade import resized, restart
from traffic import Outages, Traffic, judge

HOSTS = [f"b{number}" for number in range(1, 8)]
# The others: b1 and b2 are never touched, the last two come and go.
TOUCHED, SPARE = HOSTS[2:5], HOSTS[5:]


def churn_settings():
    """What is asked for is a port of its own, so that alarms are false. A refusal is seen at once, haste is no alarm."""
    question = check("tcp", port=7099, vips=[VIP4], interval="200ms", timeout="2s")
    free = {"guard": {"share": "100%", "interval": "1s"}}
    return settings(HOSTS[:5], flows=262144, pool={"check": question, **free})


class Churn:
    """Changes of backends, one after the other, drawn by a seed. Notes which of them cut connections."""

    def __init__(self, lab, seed):
        self.lab, self.random, self.outages = lab, random.Random(seed), Outages()
        self.kinds = {}
        self.gates = {host: Servers(lab, host, ("", "")) for host in HOSTS}
        for gate in self.gates.values():
            gate.plant("gate", "7099/tcp:open")
        lab.await_states({host: "up" for host in HOSTS[:5]})
        self.states = {host: "ready" for host in TOUCHED} | {host: "absent" for host in SPARE}

    def change(self, number):
        # In every run some of them are the health checks' own.
        judged = [host for host, state in self.states.items() if number % 4 == 1 and state in ("ready", "alarm")]
        host = self.random.choice(judged or list(self.states))
        action = self.alarm if judged and self.states[host] == "ready" else self.random.choice({
            "ready": [self.drain, self.maint, self.weigh, self.remove if host in SPARE else self.drain],
            "drain": [self.undrain, self.undrain, self.maint],
            "maint": [self.undrain],
            "alarm": [self.calm],
            "absent": [self.add],
        }[self.states[host]])
        self.kinds[action.__name__] = self.kinds.get(action.__name__, 0) + 1
        action(host)

    def drain(self, host):
        self.lab.sluice("backend", "drain", f"web/{host}")
        self.states[host] = "drain"

    def maint(self, host):
        self.outages.begin(host)
        self.lab.sluice("backend", "maint", f"web/{host}", "--yes")
        self.states[host] = "maint"

    def undrain(self, host):
        self.lab.sluice("backend", "undrain", f"web/{host}")
        if self.states[host] == "maint":
            self.outages.end(host)
        self.states[host] = "ready"

    def alarm(self, host):
        """By health checks, which are wrong."""
        self.outages.begin(host)
        self.gates[host].stop("gate")
        self.lab.await_states({host: "down"})
        self.states[host] = "alarm"

    def calm(self, host):
        self.gates[host].plant("gate", "7099/tcp:open")
        self.lab.await_states({host: "up"})
        self.outages.end(host)
        self.states[host] = "ready"

    def weigh(self, host):
        self.lab.sluice("backend", "set", f"web/{host}", "--weight", self.random.randint(1, 300))

    def add(self, host):
        wanted = self.lab.settings
        wanted["pools"]["web"]["backends"].append(member(host))
        self.lab.reload(wanted)
        self.states[host] = "ready"

    def remove(self, host):
        """From the configuration: it leaves, and keeps its connections."""
        wanted = self.lab.settings
        wanted["pools"]["web"]["backends"].remove(member(host))
        self.lab.reload(wanted)
        self.states[host] = "absent"


def churn(lab, seed, between=lambda number: None, besides=""):
    """Downloads and new connections while backends change; `between` is called before each change."""
    changes, interval, rate = size("CHURN_CHANGES", 20), 0.5, size("CHURN_RATE", 200)
    changing = Churn(lab, seed)
    traffic = Traffic(
        lab, HOSTS, [VIP4, VIP6], seed, downloads=size("CHURN_DOWNLOADS", 100),
        rate=rate, lives=(0.0, 0.0, 0.3, 1.0, 3.0))
    # The client's first half second has none.
    began = time.monotonic() + 0.5
    time.sleep(2)
    for number in range(changes):
        due = time.monotonic() + interval
        between(number)
        changing.change(number)
        time.sleep(max(0, due - time.monotonic()))
    time.sleep(1)
    wanted = rate * (time.monotonic() - began)
    judgement = judge(traffic.stop(), changing.outages)
    reached = judgement.kinds["short"] / wanted
    report(
        f"{changes} changes{besides}, {judgement.total} connections", f"{len(judgement.broken)} broken", "0 broken",
        seed, f"{changing.kinds}; {judgement}; {reached:.0%} of {rate} new ones a second")
    # 90 % and more where nothing else runs.
    assert reached > 0.5, f"{reached:.0%} of the new connections that were wanted"
    assert not judgement.broken, judgement.examples()


@alone
def test_0_connections_break_while_other_backends_change():
    with Checked(churn_settings(), len(HOSTS)) as lab:
        churn(lab, seed=size("SEED", 1))


@alone
def test_0_connections_break_while_others_change_and_the_daemon_is_killed():
    with Checked(churn_settings(), len(HOSTS)) as lab:
        kills = range(5, size("CHURN_CHANGES", 20), 10)

        def kill(number):
            if number in kills:
                lab.kill_daemon()
                time.sleep(0.3)
                lab.start_daemon()

        churn(lab, size("SEED", 2), kill, f", {len(kills)} x kill -9 and restart")


@alone
def test_0_connections_break_while_others_change_and_the_daemon_is_upgraded():
    with Checked(churn_settings(), len(HOSTS)) as lab:
        upgrades = range(2, size("CHURN_CHANGES", 20), 5)

        def upgrade(number):
            if number in upgrades:
                # A new program each time; maps of another layout, too, every other time.
                if number % 2 == 0:
                    lab.configuration.write_text(json.dumps(resized(lab.settings, number)))
                restart(lab, pause=0.2)

        churn(lab, size("SEED", 9), upgrade, f", {len(upgrades)} upgrades")
