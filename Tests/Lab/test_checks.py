# SPDX-License-Identifier: Apache-2.0
"""Each kind of probe passes against a real server through the tunnel, and fails for each fault with its layer named."""

import concurrent.futures
import json

import backend_faults as faults
from authority import NAME, Authority
from checked import Checked, check
from configured import member, settings
from lab import VIP4, VIP6
from results import report
from servers import BODY, DNS, DNS_ADDRESS, DNS_NAME, ECHO, HTTP, HTTPS, PLAIN, Servers

FAMILIES = {"4": VIP4, "6": VIP6}
HOSTS = [f"b{number}" for number in range(1, 10)]
TIMINGS = {"interval": "1s", "timeout": "700ms"}


# scripts/lab puts its own name there.
CERTIFICATE = "/run/sluice-lab-lab/authority/ca.pem"


# What `check run` names, by fault, host and kind; "passes" where the kind cannot see the fault, or the kernel has none.
EVERY = ("tcp", "http", "https", "dns-udp", "dns-tcp", "udp", "icmp")
FIRST = {
    ("b1", "none"): dict.fromkeys(EVERY, "passes"),
    ("b2", "VIP removed from lo"): dict.fromkeys(EVERY, "vip"),
    ("b3", "decapsulation off"): dict.fromkeys(EVERY, "tunnel"),
    ("b4", "rp_filter strict"): dict.fromkeys(EVERY, "reply"),
    ("b5", "MTU too small"): dict.fromkeys(EVERY, "passes") | dict.fromkeys(("http", "https", "icmp"), "mtu"),
    ("b6", "servers stopped"): dict.fromkeys(EVERY, "port") | {"icmp": "passes"},
    ("b7", "firewall drops ports"): dict.fromkeys(EVERY, "port") | {"icmp": "passes"},
    ("b8", "other answer"): {
        "tcp": "passes", "http": "status", "https": "tls", "dns-udp": "status", "dns-tcp": "status", "udp": "body",
        "icmp": "passes"},
    ("b9", "garbage"): {
        "tcp": "passes", "http": "status body", "https": "tls", "dns-udp": "status body",
        # Garbage may announce a message that never comes whole.
        "dns-tcp": "status body timeout", "udp": "body", "icmp": "passes"},
}
SECOND = {
    ("b8", "wrong status"): {"http": "status", "https": "status"},
    ("b9", "slow or silent"): {
        "tcp": "passes", "http": "timeout body", "https": "timeout body", "dns-udp": "timeout port",
        "dns-tcp": "timeout body", "udp": "timeout port", "icmp": "passes"},
}


def kinds():
    """Port and check of each kind."""
    web = {"path": "/healthz", "body": BODY, "full_size": True}
    dns = {"query": DNS_NAME, "answer": DNS_ADDRESS}
    return {
        "tcp": (f"{PLAIN}/tcp", check("tcp", **TIMINGS)),
        "http": (f"{HTTP}/tcp", check("http", **web, **TIMINGS)),
        "https": (f"{HTTPS}/tcp", check("https", **web, **TIMINGS, host=NAME, tls_ca=CERTIFICATE)),
        "dns-udp": (f"{DNS}/udp", check("dns", **dns, **TIMINGS)),
        "dns-tcp": (f"{DNS}/tcp", check("dns", **dns, **TIMINGS, transport="tcp")),
        "udp": (f"{ECHO}/udp", check("udp", send="ping", reply="pong", **TIMINGS)),
        "icmp": ("8090/tcp", check("icmp", full_size=True, **TIMINGS)),
    }


def configuration():
    """A pool and a service of each kind in each family; inner and outer header are of the same."""
    wanted = settings([])
    del wanted["pools"]["web"]
    wanted["services"] = []
    for kind, (port, question) in kinds().items():
        for family, vip in FAMILIES.items():
            name = f"{kind}-{family}"
            backends = [member(host) for host in HOSTS]
            if family == "6":
                backends = [{"name": host, "address": f"fd00:0:0:1{host[1:]}::2"} for host in HOSTS]
            wanted["pools"][name] = {
                "backends": backends, "check": question, "table_size": 1009,
                "guard": {"share": "100%", "interval": "1s"}}
            wanted["services"].append({"name": name, "vips": [vip], "ports": [port], "pool": name})
    wanted["limits"] |= {"pools": 16, "backends": 256}
    return wanted


class Workshop(Checked):
    """All kinds of checks against nine backends with real servers."""

    def __init__(self):
        super().__init__(configuration(), len(HOSTS))

    def __enter__(self):
        super().__enter__()
        try:
            authority = Authority(self.run_directory / "authority")
            self.files = authority.issue()
            self.wrong_files = Authority(self.run_directory / "other-authority").issue()
            self.servers = {host: Servers(self, host, self.files) for host in HOSTS}
            for servers in self.servers.values():
                servers.start_all()
            faults.take_a_tunnel_device(self, "b4")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def await_all_up(self):
        count = len(EVERY) * len(FAMILIES) * len(HOSTS)
        self.await_checks(lambda rows: len(rows) == count and all(row["state"] == "up" for row in rows), 40)

    def plant_first(self):
        faults.vips_on_lo(self, "b2", "del")
        faults.decapsulation_off(self, "b3")
        faults.filter_strictly(self, "b4", True)
        faults.shrink(self, "b5")
        self.servers["b6"].stop()
        faults.firewall(self, "b7")
        faults.answer_wrongly(self.servers["b8"], self.wrong_files)
        faults.answer_garbage(self.servers["b9"])

    def heal_first(self):
        faults.vips_on_lo(self, "b2", "add")
        faults.decapsulation_on(self, "b3")
        faults.filter_strictly(self, "b4", False)
        faults.widen(self, "b5")
        self.servers["b6"].start_all()
        faults.no_firewall(self, "b7")
        for host in ("b8", "b9"):
            faults.answer_as_they_should(self.servers[host])

    def plant_second(self):
        self.servers["b8"].stop("web")
        self.servers["b8"].start_web(status=503)
        faults.answer_slowly(self.servers["b9"])

    def table(self, expected):
        """Rows for `check run`: fault, pool, expected layer, reported layer, message."""
        wanted = [
            (host, fault, f"{kind}-{family}", "passes" if fault == "rp_filter strict" and family == "6" else layer)
            for (host, fault), layers in expected.items() for kind, layer in layers.items() for family in FAMILIES]
        with concurrent.futures.ThreadPoolExecutor(8) as runners:
            reports = list(runners.map(lambda row: self.run_check(row[2], row[0]), wanted))
        return [
            (fault, pool, layer, "passes" if report["passed"] else report["layer"], report)
            for (_, fault, pool, layer), report in zip(wanted, reports)]

    def await_verdicts(self, expected):
        """What the checks themselves make of it: up where nothing is to be seen, else down."""
        states = {
            (f"{kind}-{family}", host):
                "up" if layer == "passes" or fault == "rp_filter strict" and family == "6" else "down"
            for (host, fault), layers in expected.items() for kind, layer in layers.items() for family in FAMILIES}
        self.await_checks(
            lambda rows: all(states.get((row["pool"], row["backend"]), row["state"]) == row["state"] for row in rows), 30)


def judge(rows):
    wrong = 0
    for fault, pool, expected, found, told in rows:
        is_right = found in expected.split()
        wrong += not is_right
        print(f"    {fault:21} {pool:10} {found:8} {'' if is_right else f'EXPECTED {expected}; '}{told['conclusion']}")
        if not is_right:
            print("      " + json.dumps(told["steps"]))
    return wrong


def test_each_kind_of_probe_passes_and_each_fault_is_named():
    with Workshop() as lab:
        lab.await_all_up()
        lab.plant_first()
        lab.await_verdicts(FIRST)
        rows = lab.table(FIRST)
        lab.heal_first()
        lab.await_all_up()
        lab.plant_second()
        lab.await_verdicts(SECOND)
        rows += lab.table(SECOND)
    wrong = judge(rows)
    report(
        f"{len(EVERY)} kinds of probes in both families, {len({row[0] for row in rows})} states of a backend,"
        f" {len(rows)} reports", f"{len(rows) - wrong} name the right layer", "all")
    assert wrong == 0
