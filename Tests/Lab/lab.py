# SPDX-License-Identifier: Apache-2.0
"""A lab of a test's own: scripts/lab under a name that no other process uses."""

import itertools
import json
import os
import subprocess
from pathlib import Path

from sizes import size

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("SLUICE_BIN", ROOT / ".build/debug"))

VIP4, VIP6 = "10.100.0.1", "fd00:100::1"

_numbers = itertools.count()


class CommandFailed(Exception):
    pass


def run(command, check=True, timeout=30, input=None):
    """The finished process, with text output. A failure includes the command's output."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=timeout, input=input
    )
    if check and done.returncode != 0:
        raise CommandFailed(
            f"exit code {done.returncode}: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}".rstrip()
        )
    return done


def risen(before, after):
    """By how much verdicts rose. Without what passed: hosts send packets of their own accord, such as ARP, neighbour and
    router discovery, at any time."""
    return {name: count - before[name] for name, count in after.items()
            if count != before[name] and not name.startswith("passed")}


class Lab:
    """A context: the topology is up inside it and gone after it, whatever happens.

    `options` go to `scripts/lab up`, for example "--mode", "tc".
    """

    def __init__(self, *options):
        number = next(_numbers)
        self.name = f"t{os.getpid()}" + (f"x{number}" if number else "")
        self.run_directory = Path(f"/run/sluice-lab-{self.name}")
        self.pins = Path(f"/sys/fs/bpf/sluice-lab-{self.name}")
        self._options = options
        self._processes = []

    def __enter__(self):
        # A lab that fails to come up takes itself down.
        run([ROOT / "scripts/lab", "up", "--name", self.name, *self._options], timeout=size("UP_SECONDS", 60))
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.kill()
            process.communicate()
        run([ROOT / "scripts/lab", "down", "--name", self.name], timeout=60)

    def namespace(self, host):
        return f"sl-{self.name}-{host}"

    def _inside(self, host, command):
        return ["nsenter", f"--net=/run/netns/{self.namespace(host)}", *command]

    def on(self, host, *command, **options):
        """Runs a command on a host of the lab: "client", "router", "balancer", "b1", "b2", "b3"."""
        return run(self._inside(host, command), **options)

    def start(self, host, *command):
        """A process on a host, with its output in pipes; ended with the lab at the latest."""
        process = subprocess.Popen(
            [str(word) for word in self._inside(host, command)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self._processes.append(process)
        return process

    def start_logged(self, host, log, *command):
        """As `start`, with its output in a file: for commands whose children would keep a pipe open."""
        with open(log, "a") as output:
            process = subprocess.Popen(
                [str(word) for word in self._inside(host, command)], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output)
        self._processes.append(process)
        return process

    def exchange(self, host, frames, **options):
        """Sends packets from a host and returns those that `frames.py` waits for."""
        script = Path(__file__).with_name("frames.py")
        request = json.dumps({"frames": [bytes(frame).hex() for frame in frames], **options})
        return json.loads(self.on(host, "/usr/bin/python3", script, input=request).stdout)

    def backend(self, host, *command, **options):
        """sluice-backend on a backend, for eth0 and with the directories that scripts/lab uses."""
        return self.on(
            host, BIN / "sluice-backend", command[0], "--interface", "eth0", "--pin-dir", self.pins / host,
            "--run-dir", self.run_directory / host, *command[1:], **options,
        )

    def verdicts(self, host):
        """Packets by verdict on a backend."""
        status = json.loads(self.backend(host, "status", "-o", "json").stdout)
        return {row["verdict"]: row["packets"] for row in status["verdicts"]}

    def received(self, host):
        """Frames that the interface of a host has taken in."""
        links = json.loads(self.on(host, "ip", "-j", "-s", "link", "show", "eth0").stdout)
        return links[0]["stats64"]["rx"]["packets"]
