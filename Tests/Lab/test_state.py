# SPDX-License-Identifier: Apache-2.0
"""The daemon's files and its clock: state files that cannot be read, changes that cannot be saved, time that is set."""

import contextlib
import datetime
import json
import os
import shutil
import time

import starting
from balancing import Balancer
from lab import run

NOT_SAVED = 74
BY = {"by": "root", "at": 1.0}
# Each kills a daemon that believes it, or makes it forward what no request may ask for.
WRONG = [
    {"pool": "web", "backend": "b2", "presence": "as_configured", "weight": 9223372036854775807, **BY},
    {"pool": "web", "backend": "b2", "presence": "as_configured", "weight": -5, **BY},
    {"pool": "web", "backend": "b2", "presence": "as_configured", "weight": 70000, **BY},
    {"pool": "web", "backend": "b2", "presence": "as_configured", "weight": 1e40, **BY},
    {"pool": "web", "backend": "x" * 200, "presence": "added", "address": "10.0.13.9", **BY},
    {"pool": "web", "backend": "../b", "presence": "added", "address": "10.0.13.9", **BY},
    {"pool": "web", "backend": "vip", "presence": "added", "address": "10.100.0.1", **BY},
    {"pool": "web", "backend": "multicast", "presence": "added", "address": "224.0.0.9", **BY},
    {"pool": "web", "backend": "loopback", "presence": "added", "address": "127.0.0.1", **BY},
    {"pool": "web", "backend": "b2", "presence": "as_configured", "state": "sleeping", **BY},
    {"pool": "web", "backend": "b2", "presence": "as_configured", "reason": "a\u202eb", "state": "drain", **BY},
    {"pool": "web", "backend": "b2", "presence": "as_configured", "state": "drain", "by": "root", "at": -1e300},
    {"pool": "web"}, 7, None, "text",
]


class Stateful(Balancer):
    @property
    def state(self):
        return self.run_directory / "state"

    @property
    def overrides(self):
        return self.state / "overrides.json"

    def set_aside(self):
        return sorted(self.state.glob("overrides.json.set-aside-*"))

    def alarms(self):
        return {alarm["code"]: alarm for alarm in self.status()["alarms"]}

    def until(self, condition, what, seconds=25):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s: {self.alarms()}"
            time.sleep(0.2)

    def rows(self):
        return {row["name"]: row for row in self.api("GET", "/v1/pools/web/backends")[1]}

    def start(self, *arguments, **keywords):
        if arguments:
            return super().start(*arguments, **keywords)
        code = starting.attempt(self)
        assert code is None, f"exit code {code}\n{starting.log(self)[-3000:]}"


def test_entries_that_no_request_could_make_are_set_aside_one_by_one():
    with Stateful() as lab:
        lab.sluice("backend", "drain", "web/b1")
        good = json.loads(lab.overrides.read_text())["overrides"]
        assert len(good) == 1
        lab.kill_daemon()
        lab.overrides.write_text(json.dumps({"version": 1, "overrides": good + WRONG}))
        lab.start()
        rows = lab.rows()
        assert set(rows) == {"b1", "b2", "b3"}, rows.keys()
        assert rows["b1"]["state"] == "drain" and rows["b2"]["weight"] == rows["b3"]["weight"] == 100, rows
        assert set(lab.requests(100, 8)["by"]) == {"b2", "b3"}
        assert "overrides-set-aside" in lab.alarms(), lab.alarms()
        # What is set aside is whole, and outlives changes and restarts.
        lab.sluice("backend", "set", "web/b3", "--weight", 50)
        lab.kill_daemon()
        lab.start()
        aside = lab.set_aside()
        assert len(aside) == 1 and json.loads(aside[0].read_text())["overrides"] == WRONG
        alarm = lab.alarms()["overrides-set-aside"]
        assert f"rm {aside[0]}" in alarm["cure"], alarm
        aside[0].unlink()
        lab.until(lambda: "overrides-set-aside" not in lab.alarms(), "the operator's decision")
        assert lab.rows()["b3"]["weight"] == 50 and lab.rows()["b1"]["state"] == "drain"


def test_what_was_drained_stays_so_where_the_overrides_cannot_be_read():
    ways = {
        "mode": lambda lab: lab.overrides.chmod(0),
        "no JSON": lambda lab: lab.overrides.write_text('{"version": 1, "overr'),
        "another version": lambda lab: lab.overrides.write_text('{"version": 2, "overrides": []}'),
        "EISDIR": lambda lab: (lab.overrides.unlink(), lab.overrides.mkdir()),
        "EIO": None, "EMFILE": None,
    }
    with Stateful() as lab:
        lab.sluice("backend", "drain", "web/b1")
        lab.sluice("backend", "maint", "web/b2", "--yes", "--force")
        for number, (name, spoil) in enumerate(ways.items(), 1):
            lab.kill_daemon()
            before = ()
            if spoil:
                spoil(lab)
            else:
                before = ["strace", "-D", "-f", "-qq", "-P", lab.overrides, "-e", "trace=openat,open",
                          "-e", f"inject=openat,open:error={name}:when=1", "-o", "/dev/null"]
            content = lab.overrides.read_text() if lab.overrides.is_file() and os.geteuid() == 0 else None
            code = starting.attempt(lab, before)
            assert code is None, (name, code, starting.log(lab)[-3000:])
            states = {host: row["state"] for host, row in lab.rows().items()}
            assert states == {"b1": "drain", "b2": "maint", "b3": "ready"}, (name, states)
            assert set(lab.requests(60, 8)["by"]) == {"b3"}, name
            assert "overrides-set-aside" in lab.alarms(), (name, lab.alarms())
            aside = lab.set_aside()
            assert len(aside) == 1, (name, aside)
            # The next change keeps it, and its alarm; so does the next start.
            lab.sluice("backend", "set", "web/b3", "--weight", 100 + number)
            assert lab.set_aside() == aside and "overrides-set-aside" in lab.alarms(), name
            if content is not None:
                assert aside[0].read_text() == content, name
            lab.kill_daemon()
            lab.start()
            assert {host: row["state"] for host, row in lab.rows().items()} == states, name
            assert "overrides-set-aside" in lab.alarms(), name
            shutil.rmtree(aside[0]) if aside[0].is_dir() else aside[0].unlink()


@contextlib.contextmanager
def full_disk(directory):
    """The directory on a file system of its own, without room."""
    kept = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory])
    try:
        for name, content in kept.items():
            (directory / name).write_bytes(content)
        with contextlib.suppress(OSError), open(directory / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"\0" * 4096)
        yield
        kept = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "filler"}
    finally:
        run(["umount", directory])
        for name, content in kept.items():
            (directory / name).write_bytes(content)


def test_a_change_that_cannot_be_saved_says_so_and_is_saved_later():
    with Stateful() as lab:
        lab.sluice("backend", "set", "web/b3", "--weight", 90)
        with full_disk(lab.state):
            done = lab.sluice("backend", "drain", "web/b1", "--require-saved", check=False)
            assert done.returncode == 1 and "not made" in done.stderr, done
            assert lab.rows()["b1"]["state"] == "ready"
            done = lab.sluice("backend", "drain", "web/b1", check=False)
            assert done.returncode == NOT_SAVED and "not saved" in done.stderr and "in force" in done.stdout, done
            assert lab.rows()["b1"]["state"] == "drain" and "b1" not in lab.requests(60, 8)["by"]
            status, answer = lab.api("PATCH", "/v1/pools/web/backends/b2", {"weight": 80})
            assert status == 200 and "overrides.json" in answer["not_saved"], answer
            status, answer = lab.api("PATCH", "/v1/pools/web/backends/b2?require_saved=1", {"weight": 70})
            assert status == 507 and answer["error"]["code"] == "not-saved", answer
            assert lab.rows()["b2"]["weight"] == 80
            assert lab.sluice("config", "reload", check=False).returncode == NOT_SAVED
            assert "overrides" in lab.alarms(), lab.alarms()
            (lab.state / "filler").unlink()
            lab.until(lambda: "overrides" not in lab.alarms(), "saved")
        assert lab.sluice("backend", "set", "web/b2", "--weight", 60, "--require-saved").returncode == 0
        lab.kill_daemon()
        lab.start()
        rows = lab.rows()
        assert (rows["b1"]["state"], rows["b2"]["weight"], rows["b3"]["weight"]) == ("drain", 60, 90), rows


# A process's time of day, with an offset that a file says.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long offset(void)
{
	FILE *file = fopen(getenv("SHIM_OFFSET"), "r");
	long seconds = 0;
	if (file) {
		if (fscanf(file, "%ld", &seconds) != 1)
			seconds = 0;
		fclose(file);
	}
	return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *time)
{
	static int (*next)(clockid_t, struct timespec *);
	if (!next)
		next = dlsym(RTLD_NEXT, "clock_gettime");
	int result = next(clock, time);
	if (clock == CLOCK_REALTIME)
		time->tv_sec += offset();
	return result;
}
int gettimeofday(struct timeval *time, void *zone)
{
	static int (*next)(struct timeval *, void *);
	if (!next)
		next = dlsym(RTLD_NEXT, "gettimeofday");
	int result = next(time, zone);
	time->tv_sec += offset();
	return result;
}
"""


def test_durations_do_not_follow_the_time_of_day():
    with Stateful() as lab:
        source, shim, offset = (lab.run_directory / name for name in ("shim.c", "shim.so", "offset"))
        source.write_text(SHIM)
        run(["clang", "-shared", "-fPIC", "-o", shim, source, "-ldl"])
        offset.write_text("0")
        lab.kill_daemon()
        began = time.time()
        code = starting.attempt(lab, LD_PRELOAD=str(shim), SHIM_OFFSET=str(offset))
        assert code is None, starting.log(lab)[-2000:]
        lab.on("balancer", "ip", "link", "set", "eth0", "down")
        lab.until(lambda: "interface-down" in lab.alarms(), "an alarm")
        lab.sluice("config", "reload")
        for years in (20, -20):
            jump = years * 365 * 86400
            offset.write_text(str(jump))
            status = lab.status()
            age = time.time() - began
            assert 0 <= status["uptime_s"] <= age + 1, status["uptime_s"]
            now = time.time() + jump
            since = lab.alarms()["interface-down"]["since"]
            for text in (since, status["configuration"]["loaded_at"], status["configuration"]["last_reload_at"]):
                seconds = now - parsed(text)
                assert -2 <= seconds <= age + 2, (years, text, seconds)


def parsed(text):
    """Seconds since 1970 of a time of the API."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
