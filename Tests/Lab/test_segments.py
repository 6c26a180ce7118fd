# SPDX-License-Identifier: Apache-2.0
"""Uploads over a fabric with an MTU of 1500 that drops ICMP: clients learn the size that fits from the MSS alone."""

import json
import os

from checked import Checked, check, checked_settings
from lab import VIP4, VIP6, ROOT
from results import report
from scheduling import paired

HOSTS = ("b1", "b2")
MEGABYTE = 1 << 20
ALLOWED = "10.0.2.0/24,172.16.0.0/16,fd00:0:0:2::/64,fd00:172::/64"


class Silent(Checked):
    """An MTU of 1500 everywhere, and no ICMP error arrives anywhere."""

    def __init__(self, *options):
        wanted = checked_settings(HOSTS, check("tcp", port=80, timeout="2s"))
        wanted["services"][0]["ports"] = ["80/tcp"]
        super().__init__(wanted, len(HOSTS), "--mtu", "1500", *options)

    def __enter__(self):
        super().__enter__()
        try:
            self._silence()
            return self
        except BaseException:
            self.__exit__()
            raise

    def _silence(self):
        for host, hook in (("router", "forward"), ("router", "output"), ("client", "input")):
            name = f"silent_{hook}"
            self.on(host, "nft", "add", "table", "inet", name)
            self.on(host, "nft", "add", "chain", "inet", name, "drops",
                    f"{{ type filter hook {hook} priority 0; }}")
            self.on(host, "nft", "add", "rule", "inet", name, "drops", "meta", "l4proto", "icmp", "counter", "drop")
            self.on(host, "nft", "add", "rule", "inet", name, "drops", "icmpv6", "type", "packet-too-big", "counter", "drop")
        self.body = self.run_directory / "body"
        self.body.write_bytes(os.urandom(30 * MEGABYTE))
        self.await_checks(lambda rows: all(row["state"] == "up" for row in rows), 30)

    def uploads(self, count, at_once, seconds):
        """How many of these uploads, half of them over IPv6, do not end in time."""
        urls = [f"http://{VIP4}/upload", f"http://[{VIP6}]/upload"]
        command = (f"curl -s -o /dev/null -w '%{{http_code}} %{{size_upload}}\\n' --max-time {seconds} "
                   f"-H 'Expect:' -T {self.body} \"$0\"")
        done = self.on(
            "client", "xargs", "-P", at_once, "-n", 1, "sh", "-c", command,
            input="\n".join(urls[number % 2] for number in range(count)), check=False, timeout=count * seconds)
        ended = done.stdout.split("\n").count(f"200 {30 * MEGABYTE}")
        return count - ended

    def up(self, *options):
        for host in HOSTS:
            self.backend(host, "up", "--vip", f"{VIP4},{VIP6}", "--allow", ALLOWED, *options)

    def mss(self, host):
        """What `sluice-backend status` says."""
        return json.loads(self.backend(host, "status", "-o", "json").stdout).get("mss")


@paired
def test_uploads_with_mss_auto_arrive_where_icmp_is_dropped():
    with Silent() as lab:
        hanging = lab.uploads(20, 20, 10)
        assert lab.mss("b1") is None
        lab.up("--mss", "auto")
        limits = lab.mss("b1")
        # Tunnels may end at addresses of both families: 40 octets of outer header, and 40 or 60 of the inner ones.
        assert limits["attached"] and limits["limits"] == {"v4": 1420, "v6": 1400}, limits
        left = lab.uploads(100, 4, 120)
        assert lab.mss("b1")["lowered"] > 0
        report("30 MB uploads, MTU 1500, no ICMP: hanging without --mss", f"{hanging} of 20", "shown")
        report("30 MB uploads, MTU 1500, no ICMP: hanging with --mss auto", f"{left} of 100", "0")
        assert left == 0, left
        assert hanging == 20, "the fabric tells sizes: this test shows nothing"
        # The other direction is as before.
        for vip in (VIP4, f"[{VIP6}]"):
            answer = lab.on("client", "curl", "-sS", "--max-time", 30, "-o", "/dev/null", "-w", "%{size_download}",
                            f"http://{vip}/big", timeout=40).stdout
            assert int(answer) == 30 * MEGABYTE, answer


def test_mss_is_lowered_by_number_and_ends_with_up_and_down():
    with Silent() as lab:
        lab.up("--mss", "1300")
        assert lab.mss("b1")["limits"] == {"v4": 1300, "v6": 1300}, lab.mss("b1")
        assert lab.uploads(4, 4, 60) == 0
        # `up` without the option ends it; `down` does, too, and leaves no filter.
        lab.up()
        assert lab.mss("b1") is None and lab.uploads(4, 4, 5) == 4
        lab.up("--mss", "auto")
        for host in HOSTS:
            assert "clamp_mss" in lab.on(host, "tc", "filter", "show", "dev", "eth0", "egress").stdout
            lab.backend(host, "down")
            assert "clamp_mss" not in lab.on(host, "tc", "filter", "show", "dev", "eth0", "egress").stdout


def test_advmss_of_the_route_does_the_same_for_the_kernels_tunnels():
    """docs/operation.md's alternative for backends without sluice-backend."""
    assert "advmss 1440" in (ROOT / "docs/operation.md").read_text()
    with Silent() as lab:
        for host in HOSTS:
            leg = 10 + int(host[1:])
            lab.on(host, "ip", "route", "change", "default", "via", f"10.0.{leg}.1", "advmss", "1440")
            lab.on(host, "ip", "-6", "route", "change", "default", "via", f"fd00:0:0:{leg}::1", "advmss", "1420")
        assert lab.uploads(10, 4, 60) == 0
