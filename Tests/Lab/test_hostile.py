# SPDX-License-Identifier: Apache-2.0
"""Hostile servers, an interface that is deleted, a VIP that is an address of the balancer."""

import statistics
import time
from pathlib import Path

from authority import NAME, Authority
from checked import Checked, check, checked_settings
from configured import member
from lab import VIP4
from results import report
from scheduling import alone
from servers import BODY, DNS, DNS_ADDRESS, DNS_NAME, ECHO, HTTP, HTTPS, PLAIN, Servers
from sizes import size
from test_interface import let_router_pass, make_leg

STREAMS = (
    "garbage", "reset", "open", "endless_head", "endless_line", "endless_interim", "endless_body", "endless_chunks",
    "huge_chunk", "drip", "slow_body", "bomb")
WEB = {"path": "/healthz", "body": BODY}
TLS = {"host": NAME, "tls_ca": "/run/sluice-lab-lab/authority/ca.pem"}
QUERY = {"query": DNS_NAME, "answer": DNS_ADDRESS}
PATIENT = {"timeout": "1s"}
# Pools of the well-behaved backend: port and check.
GOOD = {
    "good-tcp": (f"{PLAIN}/tcp", check("tcp", **PATIENT)),
    "good-http": (f"{HTTP}/tcp", check("http", **WEB, **PATIENT)),
    "good-https": (f"{HTTPS}/tcp", check("https", **WEB, **TLS, **PATIENT)),
    "good-dns": (f"{DNS}/udp", check("dns", **QUERY, **PATIENT)),
    "good-udp": (f"{ECHO}/udp", check("udp", send="ping", reply="pong", **PATIENT)),
}


def hostile():
    """Of the hostile backend: port, check and manner, by pool."""
    found = {f"http-{manner}": ("tcp", check("http", **WEB), manner) for manner in STREAMS}
    found |= {f"https-{manner}": ("tls", check("https", **WEB, **TLS), manner) for manner in STREAMS if manner != "open"}
    found |= {
        f"https-{manner}": ("tcp", check("https", **WEB, **TLS), manner)
        for manner in ("invalid_tls", "endless_handshake", "open")}
    found |= {
        f"dns-{manner}": ("tcp", check("dns", **QUERY, transport="tcp"), manner)
        for manner in ("dns_loop", "dns_endless", "garbage")}
    found |= {
        f"datagram-{manner}": ("udp", check("dns", **QUERY), manner)
        for manner in ("dns_loop", "dns_other_number", "flood", "empty", "garbage")}
    found["udp-flood"] = ("udp", check("udp", send="ping", reply="pong"), "flood")
    return {
        name.replace("_", "-"): (port, *rest) for port, (name, rest) in enumerate(found.items(), 15000)}


def hostile_settings():
    wanted = checked_settings([], check("tcp"))
    free = wanted["pools"].pop("web")
    pools = {name: ("b1", port, question) for name, (port, question) in GOOD.items()}
    pools |= {
        name: ("b2", f"{port}/{'udp' if transport == 'udp' else 'tcp'}", question)
        for name, (port, transport, question, _) in hostile().items()}
    wanted["services"] = []
    for name, (host, port, question) in pools.items():
        wanted["pools"][name] = free | {"backends": [member(host)], "check": question}
        wanted["services"].append({"name": name, "vips": [VIP4], "ports": [port], "pool": name})
    wanted["limits"] |= {"pools": 64}
    return wanted


def resident(lab):
    """Megabytes that the daemon has."""
    lines = Path(f"/proc/{lab.daemon_pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def watched(lab, seconds):
    """Probes of the well-behaved backend meanwhile: milliseconds that each took, and how many passed and failed."""
    def counts():
        look = lab.metrics()
        totals = [
            lab.metric("sluice_check_probes_total", look, backend="b1", **more) for more in ({}, {"result": "ok"})]
        return totals[0] - totals[1], totals[1]
    before, took = counts(), {}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for row in lab.checks():
            if row["backend"] == "b1":
                took[row["pool"], row["last_at"]] = row["last_ms"]
        time.sleep(0.1)
    failed, passed = (after - earlier for earlier, after in zip(before, counts()))
    return sorted(took.values()), passed, failed


@alone
def test_hostile_servers_neither_stall_other_probes_nor_harm_the_daemon():
    seconds = size("HOSTILE_SECONDS", 15.0)
    with Checked(hostile_settings(), 2) as lab:
        authority = Authority(lab.run_directory / "authority")
        files = authority.issue()
        servers = {host: Servers(lab, host, files) for host in ("b1", "b2")}
        servers["b1"].start_all()
        lab.await_checks(lambda rows: all(row["state"] == "up" for row in rows if row["backend"] == "b1"))
        quiet, _, _ = watched(lab, 5)
        process, memory = lab.daemon_pid, resident(lab)
        servers["b2"].plant(
            "all", *(f"{port}/{transport}:{manner}" for port, transport, _, manner in hostile().values()))
        began = time.monotonic()
        loud, passed, failed = watched(lab, seconds)
        rows = [row for row in lab.checks() if row["backend"] == "b2"]
        expected = len(GOOD) * (time.monotonic() - began) / 0.5
        grown = resident(lab) - memory
        assert lab.daemon_pid == process and Path(f"/proc/{process}").exists()
        in_flight = lab.metric("sluice_probes_in_flight")
    fooled = [row["pool"] for row in rows if row["state"] != "down"]
    said = sorted(f"{row['pool']}: {row['layer']}, {row['reason']}" for row in rows)
    report(
        f"{len(rows)} hostile servers for {seconds:.0f} s, 5 others probed twice a second meanwhile",
        f"{passed:.0f} of {expected:.0f} probes passed, {failed:.0f} failed; median {statistics.median(loud):.1f} ms"
        f" ({statistics.median(quiet):.1f} before), longest {loud[-1]:.0f} ms ({quiet[-1]:.0f}); {len(fooled)} fooled;"
        f" memory grew by {grown:.0f} MB, {in_flight:.0f} probes in flight",
        "all in time, 0 failed, 0 fooled, below 64 MB", detail="\n".join(said))
    assert failed == 0 and passed > 0.85 * expected, (passed, failed, expected)
    assert not fooled, fooled
    assert grown < 64 and in_flight <= len(rows) + len(GOOD), (grown, in_flight)


def test_probes_come_back_with_an_interface_that_is_made_again():
    hosts = ["b1", "b2", "b3"]
    with Checked(checked_settings(hosts, check("tcp", port=80, vips=[VIP4])), len(hosts)) as lab:
        lab.await_states(dict.fromkeys(hosts, "up"))
        lab.on("balancer", "ip", "link", "delete", "eth0")
        time.sleep(3)
        meanwhile, rows = lab.states(), lab.checks()
        make_leg(lab)
        made = time.monotonic()
        let_router_pass(lab)
        passes = lambda: lab.metric("sluice_check_probes_total", result="ok")
        before = passes()
        while passes() < before + 2 * len(hosts):
            assert time.monotonic() < made + 15, lab.checks()
            time.sleep(0.05)
        again = time.monotonic() - made
        back = lab.await_states(dict.fromkeys(hosts, "up")) - made
        report(
            "the interface deleted, 3 s without, made again", f"probes pass {again:.2f} s after, all up {back:.2f} s after",
            "by themselves", detail=f"meanwhile {meanwhile}; told: {rows[0].get('layer')}: {rows[0].get('reason')}")


def test_a_vip_that_is_the_balancers_own_is_probed_at_the_backend():
    with Checked(checked_settings(["b1"], check("tcp", port=80, vips=[VIP4])), 1) as lab:
        lab.await_states({"b1": "up"})
        lab.on("balancer", "ip", "address", "add", f"{VIP4}/32", "dev", "lo")
        time.sleep(2)
        row, told = lab.checks()[0], lab.run_check("web", "b1")
        print(f"  {row['state']}; {told['conclusion']}")
        assert row["state"] == "up" and not row.get("layer") and told["passed"], (row, told)
        # The balancer itself has no server: who answers is the backend, and nobody once the VIP is gone there.
        lab.on("b1", "ip", "address", "del", f"{VIP4}/32", "dev", "lo")
        lab.await_states({"b1": "down"})
        assert lab.run_check("web", "b1")["layer"] == "vip"
