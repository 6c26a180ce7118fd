# SPDX-License-Identifier: Apache-2.0
"""Two balancers with the same VIPs behind a router that spreads flows over them (ECMP)."""

from balancing import Balancer
from configured import Configured

GATEWAYS = {"balancer": "10.0.2.2", "balancer2": "10.0.3.2"}


class Peer(Balancer):
    """The second balancer of a lab; files and pins of its own, the same configuration otherwise."""

    host = "balancer2"

    def __init__(self, lab):
        super().__init__()
        self.name = lab.name
        self.run_directory, self.pins = lab.run_directory / self.host, lab.pins / self.host
        self._processes = lab._processes

    def start_beside(self, lab):
        self.run_directory.mkdir()
        self.pins.mkdir()
        text = lab.configuration.read_text()
        text = text.replace(f"{lab.run_directory}/", f"{self.run_directory}/").replace(f"{lab.pins}/", f"{self.pins}/")
        self.configuration.write_text(text)
        return self.start_daemon()


class Fleet(Configured):
    def __init__(self, wanted, backends):
        super().__init__(wanted, backends, "--balancers", 2)

    def __enter__(self):
        super().__enter__()
        self.peer = Peer(self)
        try:
            self.peer.start_beside(self)
            self.on("router", "sysctl", "-qw", "net.ipv4.fib_multipath_hash_policy=1")
            self.route_over(balancer=1, balancer2=1)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def route_over(self, **weights):
        """Gives each balancer its share of the flows; one that is not named is withdrawn."""
        hops = []
        for host, weight in weights.items():
            hops += ["nexthop", "via", GATEWAYS[host], "weight", weight]
        self.on("router", "ip", "route", "replace", "10.100.0.0/24", *hops)

    def sluice_all(self, *arguments):
        for balancer in (self, self.peer):
            balancer.sluice(*arguments)

    def digests(self):
        return {balancer.host: balancer.digest() for balancer in (self, self.peer)}

    def forwarded(self):
        return {balancer.host: balancer.verdict_counts()["forwarded"] for balancer in (self, self.peer)}
