# SPDX-License-Identifier: Apache-2.0
"""`hash: source`: a client's data connections go where its control connection is, through a drain."""

import json
import time

from configured import Configured, settings
from lab import VIP4
from results import report
from sizes import size
from traffic import HERE, PORTS, PYTHON, Traffic

HOSTS = ["b1", "b2", "b3"]
# The daemon forgets clients without a flow within as many seconds.
SWEEP = 13


def test_0_sessions_are_split_by_a_drain_and_ended_ones_move():
    victim = "b2"
    addresses = [f"10.0.1.{number}" for number in range(100, 100 + size("SESSIONS", 60))]
    with Configured(settings(HOSTS, pool={"hash": "source"}), len(HOSTS)) as lab:
        for address in addresses:
            lab.on("client", "ip", "address", "add", f"{address}/24", "dev", "eth0")
        servers = Traffic(lab, HOSTS, [VIP4], 1)
        clients = lab.start("client", PYTHON, HERE / "session_client.py", VIP4, *PORTS, *addresses)
        assert clients.stdout.readline().strip() == "ready", clients.stderr.read()

        def tell(command):
            clients.stdin.write(command + "\n")
            clients.stdin.flush()
            answer = clients.stdout.readline()
            assert answer, clients.stderr.read()
            return dict(json.loads(answer))

        control, before = tell("open"), tell("data")
        lab.sluice("backend", "drain", f"web/{victim}")
        during = tell("data"), tell("data")
        tell("close")
        time.sleep(SWEEP)
        after = tell("open")
        tell("close")
        servers.stop()
    old = [address for address in addresses if control[address] == victim]
    split = [address for data in (before, *during) for address in addresses if data[address] != control[address]]
    stuck = [address for address in addresses if after[address] == victim]
    report(
        f"{len(addresses)} clients, {len(old)} of them on a backend that drains, 3 data connections each",
        f"{len(split)} data connections on another backend, {len(stuck)} clients that came back on it", "0, 0")
    assert len(old) > len(addresses) // 6
    assert not split and not stuck, (split, stuck)
