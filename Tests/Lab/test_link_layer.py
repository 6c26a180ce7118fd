# SPDX-License-Identifier: Apache-2.0
"""Pools without an outer header: backends on the balancer's link, set up as docs/operation.md says.

All hosts but the client are on one Ethernet, a bridge on the router, with an MTU of 1500. The VIPs are addresses of that
network: who sends to them asks by ARP or neighbour discovery, and only the balancer may answer.
"""

import json
import os
import re

from balancing import download
from checked import Checked, check, checked_settings
from lab import ROOT, VIP4, VIP6

HOSTS = ("b1", "b2")
MEGABYTE = 1 << 20
LINK4, LINK6 = "10.0.50.", "fd00:0:0:50::"


def documented(vip4, vip6):
    """The set-up of a backend in docs/operation.md, for these VIPs."""
    text = (ROOT / "docs/operation.md").read_text().split("\n### Backends of l2 pools\n")[1]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1]
    assert "192.0.2.10/32" in block and "2001:db8::10/128" in block, block
    return block.replace("192.0.2.10", vip4).replace("2001:db8::10", vip6)


def on_link(host):
    return f"{LINK4}1{host[1:]}", f"{LINK6}1{host[1:]}"


def wanted_settings(**encapsulation):
    wanted = checked_settings(HOSTS, check("tcp", port=80, timeout="2s"), drain={"timeout": "1s", "quiet": "1s"})
    wanted["defaults"]["encapsulation"] = {"type": "l2", **encapsulation}
    pool = wanted["pools"]["web"]
    wanted["pools"] = {
        "web": pool | {"backends": [{"name": host, "address": on_link(host)[0]} for host in HOSTS]},
        "web6": pool | {"backends": [{"name": host, "address": on_link(host)[1]} for host in HOSTS]}}
    # Both families to backends of either: the VIPs by HTTP, and by another port.
    wanted["services"] = [
        {"name": "web", "vips": [VIP4, VIP6], "ports": ["80/tcp", "9000/udp"], "pool": "web"},
        {"name": "cross", "vips": [VIP4, VIP6], "ports": ["8080/tcp"], "pool": "web6"}]
    return wanted


class OneLink(Checked):
    """The lab with its legs on one Ethernet."""

    def __init__(self, wanted):
        super().__init__(wanted, len(HOSTS), "--mode", "none", "--mtu", "1500")

    def __enter__(self):
        super().__enter__()
        try:
            self._join()
            return self
        except BaseException:
            self.__exit__()
            raise

    def _join(self):
        self.on("router", "ip", "link", "add", "lan", "type", "bridge")
        for host, leg, last in [("balancer", 2, 2), *((host, 10 + int(host[1:]), f"1{host[1:]}") for host in HOSTS)]:
            self.on("router", "ip", "address", "flush", "dev", host)
            self.on("router", "ip", "link", "set", host, "master", "lan")
            self.on("router", "ip", "address", "add", f"10.0.{leg}.1/24", "dev", "lan")
            self.on("router", "ip", "address", "add", f"fd00:0:0:{leg}::1/64", "dev", "lan", "nodad")
            self.on(host, "ip", "address", "add", f"{LINK4}{last}/24", "dev", "eth0")
            self.on(host, "ip", "address", "add", f"{LINK6}{last}/64", "dev", "eth0", "nodad")
        self.on("router", "ip", "link", "set", "lan", "up")
        self.on("router", "ethtool", "-K", "lan", "tx", "off")
        self.on("router", "ip", "address", "add", f"{LINK4}1/24", "dev", "lan")
        self.on("router", "ip", "address", "add", f"{LINK6}1/64", "dev", "lan", "nodad")
        # The VIPs are on the link.
        self.on("router", "ip", "route", "replace", f"{VIP4}/32", "dev", "lan")
        self.on("router", "ip", "route", "replace", f"{VIP6}/128", "dev", "lan")

    def set_up_backends(self):
        for host in HOSTS:
            self.on(host, "bash", "-ec", documented(VIP4, VIP6))

    def who_has(self, vip):
        """The link-layer address that the router finds for a VIP; None: nobody answers."""
        self.on("router", "ip", "neigh", "flush", "dev", "lan")
        self.on("router", "ping", "-c", 1, "-W", 4, vip, check=False)
        rows = json.loads(self.on("router", "ip", "-j", "neigh", "show", "to", vip, "dev", "lan").stdout)
        return next((row.get("lladdr") for row in rows), None)

    def mac(self, host):
        return json.loads(self.on(host, "ip", "-j", "link", "show", "eth0").stdout)[0]["address"]


def test_connections_of_both_families_reach_backends_set_up_as_documented():
    with OneLink(wanted_settings()) as lab:
        lab.set_up_backends()
        for vip in (VIP4, VIP6):
            assert lab.who_has(vip) is None, f"a backend answers for {vip}"
        lab.on("balancer", "ip", "address", "add", f"{VIP4}/32", "dev", "eth0")
        lab.on("balancer", "ip", "address", "add", f"{VIP6}/128", "dev", "eth0", "nodad")
        for vip in (VIP4, VIP6):
            assert lab.who_has(vip) == lab.mac("balancer"), vip

        lab.await_checks(lambda rows: rows and all(row["state"] == "up" for row in rows), 30)
        told = {step["step"]: step["detail"] for step in lab.run_check("web", "b1")["steps"]}
        assert told["encapsulation"] == "l2: no outer header, packets of up to 1500 octets", told
        upload = lab.run_directory / "upload"
        upload.write_bytes(os.urandom(10 * MEGABYTE))
        before = lab.verdict_counts()
        for vip in (VIP4, VIP6):
            for port in (80, 8080):
                result = lab.requests(40, 5, vip, port)
                assert result["failed"] == 0 and len(result["by"]) == 2, (vip, port, result)
            code, down, *_ = download(lab, vip, "/big").stdout.split()
            assert (code, int(down)) == ("200", 30 * MEGABYTE), (vip, code, down)
            host = f"[{vip}]" if ":" in vip else vip
            answer = lab.on(
                "client", "curl", "-sS", "--fail", "--max-time", "60", "-T", upload, f"http://{host}/upload",
                timeout=70).stdout
            assert answer.endswith(f"received {10 * MEGABYTE}\n"), (vip, answer)
        risen = {name: count - before[name] for name, count in lab.verdict_counts().items()}
        # 10 MB each in segments of 1460 and 1440 octets: full ones, on links of 1500.
        assert risen["forwarded"] > 2 * 7200 and risen["answered_too_big"] == 0, risen


def test_check_run_names_what_an_l2_backend_lacks():
    with OneLink(wanted_settings()) as lab:
        # No backend has the VIPs.
        lab.await_checks(
            lambda rows: rows and all(row["state"] == "down" and row["layer"] != "route" for row in rows), 30)
        told = lab.run_check("web", "b1")
        assert told["layer"] == "vip" and f"{VIP4}/32 dev lo" in told["cure"], told
        lab.set_up_backends()
        lab.await_checks(lambda rows: rows and all(row["state"] == "up" for row in rows), 30)

        # Behind a router: alarm, check run and the list of backends say so, and nothing is sent.
        wanted = lab.settings
        wanted["pools"]["web"]["backends"] = [{"name": "far", "address": "10.0.11.2"}]
        lab.reload(wanted)
        lab.await_checks(lambda rows: any(row["backend"] == "far" and row["state"] == "down" for row in rows), 30)
        reason = "10.0.11.2 is not on the link of eth0: its next hop is 10.0.2.1, and encapsulation l2 needs the backend itself"
        alarms = [alarm for alarm in lab.status()["alarms"] if alarm["code"] == "no-next-hop"]
        assert [alarm["object"] for alarm in alarms] == ["web/far"] and reason in alarms[0]["message"], alarms
        told = lab.run_check("web", "far")
        assert told["layer"] == "route" and reason in told["conclusion"], told
        assert lab.rows()["far"]["trouble"] == reason, lab.rows()
        forwarded = lab.verdict_counts()["forwarded"]
        assert lab.requests(3, 3, VIP4)["failed"] == 3
        assert lab.verdict_counts()["forwarded"] == forwarded
