# SPDX-License-Identifier: Apache-2.0
"""Two balancers that announce the VIPs by BGP, with BIRD, to a router that spreads flows over them (ECMP)."""

import shutil
import time

from checked import Checked
from fleet import GATEWAYS, Peer
from lab import VIP4, run
from traffic import Traffic

ROUTER_AS, BALANCERS_AS = 64500, 64512
# Addresses of a host on its leg to the router, and of the router there.
LEGS = {"balancer": ("10.0.2.2", "10.0.2.1", "fd00:0:0:2::2", "fd00:0:0:2::1"),
        "balancer2": ("10.0.3.2", "10.0.3.1", "fd00:0:0:3::2", "fd00:0:0:3::1")}
VIPS = ("10.100.0.0/24", "fd00:100::/64")

COMMON = """
log stderr all;
router id {address};
protocol device {{ scan time 2; }}
"""

# Paths of equal length to one prefix become one route with several next hops.
ROUTER = """
protocol kernel { merge paths on; ipv4 { import none; export where source = RTS_BGP; }; }
protocol kernel { merge paths on; ipv6 { import none; export where source = RTS_BGP; }; }
"""

ROUTER_SESSION = """
protocol bgp {name}_4 {{
  local {gateway4} as {router}; neighbor {address4} as {balancers}; connect retry time 1; connect delay time 1;
  ipv4 {{ import all; export none; }};
}}
protocol bgp {name}_6 {{
  local {gateway6} as {router}; neighbor {address6} as {balancers}; connect retry time 1; connect delay time 1;
  ipv6 {{ import all; export none; }};
}}
"""

# The VIPs are static routes of BIRD's own: none is written to the kernel of the balancer, whose probes must leave.
BALANCER = """
protocol static vips4 {{ disabled; ipv4; route {vip4} blackhole; }}
protocol static vips6 {{ disabled; ipv6; route {vip6} blackhole; }}
protocol bgp router_4 {{
  local {address4} as {balancers}; neighbor {gateway4} as {router}; connect retry time 1; connect delay time 1;
  ipv4 {{ import none; export where source = RTS_STATIC; next hop self; }};
}}
protocol bgp router_6 {{
  local {address6} as {balancers}; neighbor {gateway6} as {router}; connect retry time 1; connect delay time 1;
  ipv6 {{ import none; export where source = RTS_STATIC; next hop self; }};
}}
"""


def words(host):
    address4, gateway4, address6, gateway6 = LEGS[host]
    return {"name": host, "address4": address4, "gateway4": gateway4, "address6": address6, "gateway6": gateway6,
            "router": ROUTER_AS, "balancers": BALANCERS_AS, "vip4": VIPS[0], "vip6": VIPS[1]}


class Announced(Checked):
    """The lab: client, router, two balancers, backends that serve. A balancer that does not announce gets no packets.

    Both balancers started cold when their backends were there.
    """

    def __init__(self, wanted, hosts):
        super().__init__(wanted, len(hosts), "--balancers", 2)
        self._hosts = hosts

    def __enter__(self):
        super().__enter__()
        self.peer = Peer(self)
        try:
            self.servers = Traffic(self, self._hosts, [VIP4], 0)
            self.reboot(self, keeps_state=False)
            self.peer.start_beside(self)
            for key in ("net.ipv4.fib_multipath_hash_policy", "net.ipv6.fib_multipath_hash_policy"):
                self.on("router", "sysctl", "-qw", f"{key}=1")
            for prefix in VIPS:
                self.on("router", "ip", "route", "delete", prefix)
            sessions = "".join(ROUTER_SESSION.format(**words(host)) for host in LEGS)
            self._start_bird("router", COMMON.format(address="10.0.1.1") + ROUTER + sessions)
            for host in LEGS:
                text = COMMON.format(address=LEGS[host][0]) + BALANCER.format(**words(host))
                self._start_bird(host, text)
            for balancer in (self, self.peer):
                await_ready(balancer)
                await_up(balancer)
                self.announce(balancer)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start_bird(self, host, text):
        directory = self.run_directory / f"bird-{host}"
        directory.mkdir()
        (directory / "bird.conf").write_text(text)
        self.start_logged(
            host, directory / "bird.log", "/usr/sbin/bird", "-f", "-c", directory / "bird.conf",
            "-s", directory / "bird.ctl", "-P", directory / "bird.pid")

    def birdc(self, host, *command):
        control = self.run_directory / f"bird-{host}/bird.ctl"
        deadline = time.monotonic() + 10
        while (done := run(["/usr/sbin/birdc", "-s", control, *command], check=False)).returncode != 0:
            assert time.monotonic() < deadline, done.stdout + done.stderr
            time.sleep(0.1)
        return done.stdout

    def announce(self, balancer):
        self.birdc(balancer.host, "enable", '"vips*"')
        self._await_route(balancer, True)

    def withdraw(self, balancer):
        self.birdc(balancer.host, "disable", '"vips*"')
        self._await_route(balancer, False)

    def next_hops(self):
        """The balancers that the router's kernel routes the IPv4 VIPs to."""
        text = self.on("router", "ip", "route", "show", VIPS[0]).stdout
        return {host for host, gateway in GATEWAYS.items() if f"via {gateway} " in f"{text} "}

    def _await_route(self, balancer, is_wanted):
        deadline = time.monotonic() + 20
        while (balancer.host in self.next_hops()) != is_wanted:
            assert time.monotonic() < deadline, (balancer.host, is_wanted, self.birdc("router", "show", "protocols"))
            time.sleep(0.05)

    def reboot(self, balancer, keeps_state):
        """What a reboot does: the daemon ends, the program leaves the interface, the maps are gone; a cold start.

        Returns the seconds until the daemon said that it is ready.
        """
        balancer.kill_daemon()
        pins = balancer.pins / "sluiced"
        (pins / "link").unlink()
        shutil.rmtree(pins)
        if not keeps_state:
            shutil.rmtree(balancer.run_directory / "state", ignore_errors=True)
        deadline = time.monotonic() + 10
        while "xdp" in self.on(balancer.host, "ip", "link", "show", "eth0").stdout:
            assert time.monotonic() < deadline, "the program is still there"
            time.sleep(0.05)
        began = time.monotonic()
        balancer.start_daemon()
        await_ready(balancer)
        return time.monotonic() - began


def await_ready(balancer, seconds=30):
    """Waits until the daemon reports that it forwards for all services, as an operator's script does before it announces."""
    deadline = time.monotonic() + seconds
    while not (status := balancer.status()).get("ready", True):
        assert time.monotonic() < deadline, status
        time.sleep(0.05)


def await_up(balancer, seconds=20):
    """Waits until every backend is up on a balancer."""
    deadline = time.monotonic() + seconds
    while any(row["state"] != "up" for row in balancer.api("GET", "/v1/checks")[1]):
        assert time.monotonic() < deadline, balancer.api("GET", "/v1/checks")[1]
        time.sleep(0.1)
