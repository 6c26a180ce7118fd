# SPDX-License-Identifier: Apache-2.0
"""A backend that is leaving: it is checked until it is gone, and every command works on it or says why not."""

import json
import time

from checked import Checked, check, checked_settings
from configured import UDP_PORT
from lab import VIP4
from results import report
from traffic import HERE, PORTS, PYTHON, Traffic

HOSTS = ["b1", "b2", "b3"]
SECONDS = 12


def without(lab, host):
    wanted = lab.settings
    pool = wanted["pools"]["web"]
    pool["backends"] = [backend for backend in pool["backends"] if backend["name"] != host]
    return wanted


def refusal(lab, *command):
    done = lab.sluice("backend", *command, check=False)
    assert done.returncode == 1, (command, done.stdout, done.stderr)
    return done.stderr


def test_flows_of_a_leaving_backend_that_dies_reach_another_one_and_commands_answer():
    settings = checked_settings(HOSTS, check("tcp", port=PORTS[0]))
    settings["pools"]["web"]["drain"] = {"timeout": "1h", "quiet": "1h"}
    with Checked(settings, len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4], 41, rate=0)
        lab.await_states(dict.fromkeys(HOSTS, "up"))
        time.sleep(1)
        sinks = {host: lab.start(host, PYTHON, HERE / "udp_sink.py", VIP4, UDP_PORT) for host in HOSTS}
        for sink in sinks.values():
            assert sink.stdout.readline().strip() == "ready", sink.stderr.read()
        client = lab.start("client", PYTHON, HERE / "udp_flows.py", VIP4, UDP_PORT, 60, 0, SECONDS)
        time.sleep(2)
        lab.reload(without(lab, "b3"))
        row = lab.rows()["b3"]
        assert (row["state"], row["health"]) == ("leaving", "up"), row
        time.sleep(1)

        refused = {
            "set": refusal(lab, "set", "web/b3", "--weight", "5"),
            "undrain": refusal(lab, "undrain", "web/b3"),
            "remove": refusal(lab, "remove", "web/b3", "--yes"),
        }
        for command, message in refused.items():
            assert "web/b3" in message and "leaving" in message, (command, message)
        assert "sluice backend add web/b3 --address 10.0.13.2" in refused["undrain"], refused
        assert "drains already" in (done := lab.sluice("backend", "drain", "web/b3")).stdout + done.stderr
        assert lab.run_check("web", "b3")["passed"]

        lab.on("b3", "ip", "link", "set", "eth0", "down")
        died = time.monotonic()
        while lab.rows()["b3"]["health"] != "down":
            assert time.monotonic() < died + 10, lab.rows()["b3"]
            time.sleep(0.05)
        noticed = time.monotonic() - died
        assert not lab.run_check("web", "b3")["passed"]
        assert client.wait(SECONDS + 30) == 0
        time.sleep(0.3)
        seen = {host: json.loads(sink.communicate("", timeout=30)[0])["flows"] for host, sink in sinks.items()}
        lost = [port for port in seen["b3"] if port not in seen["b1"] and port not in seen["b2"]]

        assert lab.sluice("backend", "maint", "web/b3", "--yes", "--dry-run").returncode == 0
        assert "b3" in lab.rows()
        lab.sluice("backend", "maint", "web/b3", "--yes")
        rows = lab.rows()
        traffic.stop()
    report(
        f"{len(seen['b3'])} UDP flows of a leaving backend whose host dies",
        f"{len(lost)} stay in a black hole; it was found down after {noticed:.1f} s", "0")
    assert len(seen["b3"]) > 5 and not lost, (seen["b3"], lost)
    assert sorted(rows) == ["b1", "b2"], rows
