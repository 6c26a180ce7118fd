# SPDX-License-Identifier: Apache-2.0
"""Probes that take no tunnel."""

import time

import backend_faults as faults
from authority import Authority
from checked import Checked, check, checked_settings
from configured import member
from lab import VIP4
from results import report
from servers import BODY, HTTP, PLAIN, Servers

HOSTS = ["b1", "b2"]
DIRECT = {
    "tcp": check("tcp", via="direct", port=PLAIN, timeout="2s"),
    "http": check("http", via="direct", port=HTTP, path="/healthz", body=BODY, timeout="2s")}


def direct_settings():
    """Two pools that are asked directly, and one as clients come."""
    questions = DIRECT | {"tunnel": check("tcp", port=PLAIN, vips=[VIP4])}
    wanted = checked_settings([], {})
    pool = wanted["pools"]["web"] | {"backends": [member(host) for host in HOSTS]}
    wanted["pools"] = {name: pool | {"check": question} for name, question in questions.items()}
    wanted["services"] = [
        {"name": name, "vips": [VIP4], "ports": [f"{port}/tcp"], "pool": name}
        for port, name in enumerate(questions, 7000)]
    return wanted


def test_direct_probes_ask_the_server_and_neither_tunnel_nor_vip():
    with Checked(direct_settings(), len(HOSTS)) as lab:
        files = Authority(lab.run_directory / "authority").issue()
        servers = {host: Servers(lab, host, files) for host in HOSTS}
        for each in servers.values():
            each.start_web()

        def await_b1(**wanted):
            """Until b1 is so in these pools, and up in all others; b2 is up everywhere."""
            lab.await_checks(lambda rows: all(
                row["state"] == (wanted.get(row["pool"], "up") if row["backend"] == "b1" else "up") for row in rows))
            return {pool: lab.run_check(pool, "b1") for pool in (*DIRECT, "tunnel")}

        await_b1()
        faults.vips_on_lo(lab, "b1", "del")
        without_vip = await_b1(tunnel="down")
        passes = lab.metric("sluice_check_probes_total", backend="b1", result="ok")
        time.sleep(2)
        passes = lab.metric("sluice_check_probes_total", backend="b1", result="ok") - passes
        still = {row["pool"]: row["state"] for row in lab.checks() if row["backend"] == "b1"}
        servers["b1"].stop("web")
        without_server = await_b1(tunnel="down", tcp="down", http="down")
        servers["b1"].start_web()
        again = await_b1(tunnel="down")

    def passed(reports):
        return {pool: report["passed"] for pool, report in reports.items()}

    report(
        "asked directly by tcp and http: no VIP on lo; no server either; a server again",
        f"{passed(without_vip)}; {passed(without_server)}; {passed(again)}", "pass; fail; pass",
        detail=f"{passes:.0f} probes passed in 2 s without the VIP; told: "
        + "; ".join(f"{pool}: {told['layer']}, {told['conclusion']}" for pool, told in without_server.items()))
    works = {"tcp": True, "http": True, "tunnel": False}
    assert passed(without_vip) == works == passed(again), (without_vip, again)
    assert passed(without_server) == dict.fromkeys(works, False), without_server
    assert still == {"tcp": "up", "http": "up", "tunnel": "down"} and passes >= 4, (still, passes)
