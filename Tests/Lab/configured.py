# SPDX-License-Identifier: Apache-2.0
"""A lab whose daemon has a configuration of the test's own."""

import json
import os
import tempfile
from pathlib import Path

from balancing import Balancer
from lab import VIP4, VIP6
from traffic import PORTS

UDP_PORT = 9000


def member(host, **more):
    """A backend as the configuration has it."""
    return {"name": host, "address": f"10.0.1{host[1:]}.2", **more}


def settings(backends, affinity=None, pool=None, flows=65536, ports=PORTS):
    """One pool, one TCP and one UDP service. JSON is YAML too."""
    return {
        "version": 1,
        "node": {"name": "lab"},
        "interfaces": [{"name": "eth0", "mode": "auto", "next_hop": "auto"}],
        "hash_seed": "the lab hides nothing from anyone",
        "defaults": {"encapsulation": {"type": "ipip", "source4": "172.16.0.0/16", "source6": "fd00:172::/64"}},
        "pools": {"web": {"backends": [member(host) for host in backends], **(pool or {})}},
        "services": [
            {"name": "streams", "vips": [VIP4, VIP6], "ports": [f"{port}/tcp" for port in ports], "pool": "web",
             "affinity": affinity or {}},
            {"name": "datagrams", "vips": [VIP4, VIP6], "ports": [f"{UDP_PORT}/udp"], "pool": "web",
             "affinity": affinity or {}},
        ],
        "limits": {"services": 64, "pools": 16, "backends": 64, "slots": 524288, "flows": flows, "pairs": 4096},
        "control": {"socket": "/run/sluice-lab-lab/control.sock"},
        "status": {"socket": "/run/sluice-lab-lab/status.sock"},
        "paths": {"pins": "/sys/fs/bpf/sluice-lab-lab/sluiced", "state": "/run/sluice-lab-lab/state"},
    }


class Configured(Balancer):
    def __init__(self, wanted, backends=3, *options):
        super().__init__("--backends", backends, *options)
        self._wanted = wanted

    def __enter__(self):
        file, path = tempfile.mkstemp(suffix=".yaml")
        try:
            with os.fdopen(file, "w") as text:
                json.dump(self._wanted, text, indent=1)
            self._options += ("--config", path)
            return super().__enter__()
        finally:
            Path(path).unlink()

    @property
    def settings(self):
        """The configuration file; change it and give it to `reload`."""
        return json.loads(self.configuration.read_text())

    def reload(self, wanted):
        self.configuration.write_text(json.dumps(wanted, indent=1))
        self.sluice("config", "reload", "--wait")

    def rows(self, pool="web"):
        """Backends by name, as the API shows them."""
        return {row["name"]: row for row in self.api("GET", f"/v1/pools/{pool}/backends")[1]}

    def flow_table(self):
        """A line about how full the flow table is."""
        status = self.status()
        return f"{status['flows_used']} of {status['flows_capacity']} entries"
