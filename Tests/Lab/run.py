#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the lab tests: every function test_* of every test_*.py beside this file.

A test makes its own lab, runs in a process of its own, and fails by an exception. Most tests wait most of the time, so
several can run side by side; those that are marked `alone` (scheduling.py) run one after the other at the end.
"""

import argparse
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from results import conclude


def discover(pattern):
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in list(vars(module).items()):
            full_name = f"{path.stem[len('test_'):]}.{name[len('test_'):]}"
            if name.startswith("test_") and callable(function) and pattern in full_name:
                yield full_name, function


def raise_interrupt(*_):
    # As an exception, so that a test at work takes its lab down. Once: timeout(1) signals the process and then its
    # whole group, and a second signal would interrupt the clean-up.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt


def run_here(name):
    """Runs one test in this process. Returns the exit code."""
    (function,) = [function for found, function in discover(name) if found == name]
    started = time.monotonic()
    try:
        function()
    except Exception:
        conclude(False)
        print(f"FAIL {name} ({time.monotonic() - started:.1f} s)")
        print("  " + traceback.format_exc().rstrip().replace("\n", "\n  "))
        return 1
    conclude(True)
    print(f"PASS {name} ({time.monotonic() - started:.1f} s)")
    return 0


class Runner:
    """Runs tests in processes of their own and prints the output of each when it ends."""

    def __init__(self):
        self._lock = threading.Lock()
        self._processes = set()
        self._is_ended = False
        self.passed = self.failed = 0

    def run(self, name):
        with self._lock:
            if self._is_ended:
                return
            process = subprocess.Popen(
                [sys.executable, __file__, "--here", name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace")
            self._processes.add(process)
        output, _ = process.communicate()
        with self._lock:
            self._processes.discard(process)
            if self._is_ended:
                return
            if process.returncode == 0:
                self.passed += 1
            else:
                self.failed += 1
                if f"FAIL {name}" not in output:
                    output += f"FAIL {name}: ended with exit code {process.returncode}\n"
            print(output, end="", flush=True)

    def end(self):
        """Interrupts what runs, so that each test takes its lab down, and starts nothing more."""
        with self._lock:
            self._is_ended = True
            for process in self._processes:
                process.terminate()


def run_all(tests, jobs):
    """Runs the tests: side by side where they may, then the others alone. Returns a runner with the counts."""
    runner = Runner()
    together = [name for name, function in tests if not hasattr(function, "runs_alone")]
    alone = [name for name, function in tests if hasattr(function, "runs_alone")]
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for done in [pool.submit(runner.run, name) for name in together]:
                done.result()
            for name in alone:
                pool.submit(runner.run, name).result()
        except BaseException:
            runner.end()
            raise
    return runner


def main():
    parser = argparse.ArgumentParser(
        prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Needs root, and what was built: swift build. Example: /usr/bin/python3 Tests/Lab/run.py drain.")
    parser.add_argument("filter", nargs="?", default="", metavar="FILTER", help="only tests whose name holds this")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many run side by side (default 1)")
    parser.add_argument("--list", action="store_true", help="print the names of the tests, and end")
    parser.add_argument("--here", metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    tests = list(discover(given.filter))
    if given.list:
        for name, function in tests:
            print(name + (" (alone)" if hasattr(function, "runs_alone") else ""))
        return 0
    if os.geteuid() != 0:
        sys.exit("run.py: network namespaces need root: run it with sudo")
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, raise_interrupt)
    if given.here:
        return run_here(given.here)
    if not tests:
        sys.exit(f"run.py: no test's name holds '{given.filter}'")
    try:
        runner = run_all(tests, max(1, given.jobs))
    except KeyboardInterrupt:
        sys.exit("run.py: interrupted")
    print(f"{runner.passed} passed, {runner.failed} failed")
    return 1 if runner.failed else 0


if __name__ == "__main__":
    sys.exit(main())
