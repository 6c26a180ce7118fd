# SPDX-License-Identifier: Apache-2.0
"""Starts of the daemon that may not succeed."""

import os
import re
import subprocess
import time

from lab import BIN


def spawned(lab, before=(), options=(), **variables):
    """The daemon's process, with its output in the log. `before`: a command that runs it and keeps its process id."""
    with open(lab.run_directory / "sluiced.log", "a") as output:
        process = subprocess.Popen(
            [str(word) for word in lab._inside(
                "balancer", [*before, BIN / "sluiced", "--config", lab.configuration, *options])],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | variables)
    lab._processes.append(process)
    (lab.run_directory / "sluiced.pid").write_text(str(process.pid))
    return process


def attempt(lab, before=(), options=(), **variables):
    """Starts the daemon. Returns None where it answers, else how it ended: 70, -9."""
    process = spawned(lab, before, options, **variables)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (code := process.poll()) is not None:
            return code
        try:
            if lab.api("GET", "/v1/status")[0] == 200:
                return None
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError("the daemon neither answers nor ends:\n" + log(lab))


def traced(lab, injection=None):
    """A command that runs another one with faults in its bpf() calls, as a process that it stays."""
    inject = ["-e", f"inject=bpf:{injection}"] if injection else []
    return ["strace", "-D", "-f", "-qq", "-e", "trace=bpf", *inject, "-o", lab.run_directory / "strace-start"]


def traced_calls(lab):
    """bpf() calls of the busiest thread that the last trace has, and how many of all were made to fail."""
    lines = (lab.run_directory / "strace-start").read_text().splitlines()
    threads = [line.split()[0] for line in lines if re.search(r"\bbpf\(", line)]
    return max(map(threads.count, set(threads)), default=0), sum("(INJECTED)" in line for line in lines)


def log(lab):
    return (lab.run_directory / "sluiced.log").read_text()
