# SPDX-License-Identifier: Apache-2.0
"""Connections through the balancer that live long, and the count of those that broke without an excuse."""

import collections
import json
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
PORTS = (7000, 7001)
# A client's first packet after a change may have been on its way before it.
ON_THE_WAY = 0.1


@dataclass
class Connection:
    kind: str
    family: int
    port: int
    backend: str | None
    started: float
    connected: float | None
    ended: float
    outcome: str

    @property
    def is_whole(self):
        return self.outcome == "ok"

    def meets(self, interval):
        begin, end = interval
        return self.started <= end and begin <= self.ended


class Outages:
    """When which backend had its connections cut on purpose: in maint, or removed by force."""

    def __init__(self):
        self._intervals = collections.defaultdict(list)

    def begin(self, backend):
        """Call it before the command that takes the backend out."""
        self._intervals[backend].append([time.monotonic(), float("inf")])

    def end(self, backend):
        """Call it after the command that brings the backend back."""
        self._intervals[backend][-1][1] = time.monotonic() + ON_THE_WAY

    def excuse(self, connection):
        """A connection without a greeting may have gone to any backend."""
        names = [connection.backend] if connection.backend else list(self._intervals)
        return any(connection.meets(interval) for name in names for interval in self._intervals[name])


class Traffic:
    """A client's connections while a test changes the balancer; stream_client.py lists their kinds."""

    def __init__(self, lab, hosts, vips, seed, downloads=0, idle=0, rate=0, lives=(0.0,), ports=PORTS):
        self._lab = lab
        self._ports, self.servers = ports, {}
        self.serve(*hosts)
        self._client = lab.start("client", PYTHON, HERE / "stream_client.py")
        self._tell(json.dumps({
            "vips": list(vips), "ports": list(ports), "downloads": downloads, "idle": idle,
            "rate": rate, "lives": list(lives), "seed": seed}))
        assert self._client.stdout.readline().strip() == "ready", self._client.stderr.read()

    def serve(self, *hosts):
        """Starts the servers of backends."""
        new = {host: self._lab.start(host, PYTHON, HERE / "stream_server.py", host, *self._ports) for host in hosts}
        for server in new.values():
            assert server.stdout.readline().strip() == "ready", server.stderr.read()
        self.servers |= new

    def _tell(self, line):
        self._client.stdin.write(line + "\n")
        self._client.stdin.flush()

    def ping_idle(self):
        self._tell("ping")

    def stop(self):
        """Lets everything come to its end: all connections there were."""
        connections = self.stop_client()
        self.stop_servers()
        return connections

    def stop_client(self, timeout=90):
        self._tell("stop")
        out, err = self._client.communicate(timeout=timeout)
        assert out, f"the client failed: {err}"
        return [Connection(*row) for row in json.loads(out)]

    def stop_servers(self):
        for server in self.servers.values():
            server.communicate("", timeout=10)

    def established(self, host, ports=PORTS):
        """What the kernel of a backend says: its connections."""
        listing = self._lab.on(host, "ss", "-Htn", "state", "established").stdout.splitlines()
        return sum(line.split()[2].rsplit(":", 1)[1] in map(str, ports) for line in listing)


@dataclass
class Judgement:
    """What became of connections, and how many broke that no outage excuses."""

    total: int
    kinds: dict
    broken: list
    excused: int
    slow: int

    def __str__(self):
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        return (f"{self.total} connections ({kinds}): {len(self.broken)} broken, {self.excused} cut on purpose,"
                f" {self.slow} took a second SYN")

    def examples(self):
        return "\n".join(map(str, self.broken[:10]))


def judge(connections, outages=None):
    broken = [each for each in connections if not each.is_whole]
    unexcused = [each for each in broken if outages is None or not outages.excuse(each)]
    return Judgement(
        total=len(connections), kinds=dict(collections.Counter(each.kind for each in connections)), broken=unexcused,
        excused=len(broken) - len(unexcused),
        slow=sum(each.connected is not None and each.connected - each.started > 0.95 for each in connections))
