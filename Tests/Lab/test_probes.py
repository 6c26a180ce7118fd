# SPDX-License-Identifier: Apache-2.0
"""Probes without a tunnel, and more probes of one VIP and port than there are source ports."""

import time

import backend_faults as faults
from authority import Authority
from checked import Checked, check, checked_settings
from configured import member
from lab import VIP4
from results import report
from scheduling import alone
from servers import BODY, HTTP, PLAIN, Servers
from sizes import size
from test_pool_failure import MANY, add_many, many_settings

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


def one_door_settings():
    """Two pools of the same 200 backends, all asked at one address and port as often as can be: 4,000 times a second."""
    wanted = many_settings()
    question = check("tcp", interval="100ms", timeout="3s", port=80, vips=[VIP4], fall=100)
    for pool in wanted["pools"].values():
        pool["check"] = question
    return wanted


@alone
def test_more_probes_of_one_vip_and_port_than_there_are_source_ports():
    """Each has a port of its own, which must be free again at once: an orderly close would occupy it for a minute."""
    wanted, limit = size("DOOR_PROBES", 40_000), 80
    with Checked(one_door_settings(), 1) as lab:
        add_many(lab)
        low, high = map(int, lab.on("balancer", "sysctl", "-n", "net.ipv4.ip_local_port_range").stdout.split())
        lab.await_checks(lambda rows: len(rows) == 2 * MANY and all(row["state"] == "up" for row in rows), 30)

        def counts():
            """All probes, those that passed, and those that failed on the balancer itself."""
            look = lab.metrics()
            return [
                lab.metric("sluice_check_probes_total", look, **more)
                for more in ({}, {"result": "ok"}, {"result": "local"})]

        before, began = counts(), time.monotonic()
        while (after := counts())[0] - before[0] < wanted:
            assert time.monotonic() < began + limit, f"{after[0] - before[0]:.0f} probes in {limit} s"
            assert after[2] == before[2], f"of {after[0] - before[0]:.0f} probes {after[2] - before[2]:.0f} had no port"
            time.sleep(0.5)
        seconds = time.monotonic() - began
        made, passed, local = (late - early for early, late in zip(before, after))
        waiting = len(lab.on("balancer", "ss", "-Htan", "state", "time-wait", "dport", "=", ":80").stdout.splitlines())
        left = len(lab.on("b1", "ss", "-Htan", "state", "established", "sport", "=", ":80").stdout.splitlines())
        rows = {(row["layer"], row["reason"]) for row in lab.checks() if row.get("layer")}
    ports = high - low + 1
    report(
        f"{made:.0f} tcp probes of one VIP and port in {seconds:.0f} s, of {2 * MANY} targets, with {ports} ports",
        f"{made - passed:.0f} failed, {local:.0f} of them for want of something here; {waiting} ports wait, {left}"
        " connections are left on the backend",
        "fewer than 1 of 1,000, 0; 0, no more than there are targets", detail=sorted(rows))
    assert made > 1.2 * ports, (made, ports)
    assert (made - passed) * 1000 < made and local == 0, (made, passed, local, rows)
    assert waiting == 0 and left <= 2 * MANY, (waiting, left)
