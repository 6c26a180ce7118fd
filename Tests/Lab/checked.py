# SPDX-License-Identifier: Apache-2.0
"""A lab whose daemon checks its backends."""

import json
import re
import time

from balancing import UnixConnection
from configured import Configured, settings


def check(kind, **more):
    """A check that is quick in all it does; `more` as in the configuration."""
    return {"type": kind, "interval": "500ms", "timeout": "300ms", "rise": 2, "fall": 2, "jitter": "0%",
            "damping": {"hold": "0s"}, **more}


def checked_settings(hosts, check, **pool):
    """As settings(), with checks, and without a guard unless the pool has one."""
    free = {"guard": {"share": "100%", "interval": "1s"}, "table_size": 1009}
    return settings(hosts, pool={**free, "check": check, **pool})


class Checked(Configured):
    def checks(self, pool=None):
        """Rows of `GET /v1/checks`."""
        rows = self.api("GET", "/v1/checks")[1]
        return [row for row in rows if pool in (None, row["pool"])]

    def states(self, pool="web"):
        """Of each backend the state of its first target."""
        return {row["backend"]: row["state"] for row in self.checks(pool)}

    def await_checks(self, is_met, seconds=15, every=0.05):
        """Waits until the rows are as wanted. Returns when, in seconds of the monotonic clock."""
        deadline = time.monotonic() + seconds
        while not is_met(rows := self.checks()):
            assert time.monotonic() < deadline, f"not as wanted after {seconds} s:\n" + described(rows)
            time.sleep(every)
        return time.monotonic()

    def await_states(self, wanted, pool="web", seconds=15):
        def is_met(rows):
            found = {row["backend"]: row["state"] for row in rows if row["pool"] == pool}
            return all(found.get(name) == state for name, state in wanted.items())
        return self.await_checks(is_met, seconds)

    def run_check(self, pool, backend):
        """What a probe made now says."""
        status, report = self.api("POST", f"/v1/pools/{pool}/backends/{backend}/check")
        assert status == 200, (pool, backend, status, report)
        return report

    def events(self, kind=None):
        """All events since the daemon started that it still has."""
        connection = UnixConnection(self.socket)
        connection.request("GET", "/v1/events?since=0")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        events = map(json.loads, answer.read().decode().splitlines())
        return [event for event in events if kind in (None, event["type"])]

    def metrics(self):
        return self.api("GET", "/metrics")[1]

    def metric(self, name, at=None, **labels):
        """The sum of a metric's samples that have these labels, now or at an earlier look at the metrics()."""
        total = 0.0
        for line in (at or self.metrics()).splitlines():
            sample = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if sample:
                found = dict(re.findall(r'(\w+)="([^"]*)"', sample[1] or ""))
                if labels.items() <= found.items():
                    total += float(sample[2])
        return total


def described(rows):
    return "\n".join(
        f"{row['pool']}/{row['backend']} {row['target']} {row['state']} ({row.get('layer')}: {row.get('reason')})"
        for row in rows)
