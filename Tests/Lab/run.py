#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the lab tests: every function test_* of every test_*.py beside this file.

A test makes its own lab, runs in a process of its own, and fails by an exception. Most tests wait most of the time, so
several can run side by side. Those that are marked `paired` or `alone` (scheduling.py) run at the end: first the former,
two side by side, then the latter, one after the other. `--only together` and `--only alone` run the first or the last
two of the three kinds.
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
        yield from tests_of(path.stem, pattern)


def tests_of(module, pattern):
    """The tests of a module whose names hold a text. A name is that of the module, a dot, and the function's."""
    for name, function in list(vars(importlib.import_module(module)).items()):
        full_name = f"{module.removeprefix('test_')}.{name.removeprefix('test_')}"
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
    # Its own module only: to import all of them takes a second.
    module = f"test_{name.partition('.')[0]}"
    (function,) = [function for found, function in tests_of(module, name) if found == name]
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


def most_beside(test):
    """How many tests of its kind may run beside a test; None: any."""
    _, function = test
    return getattr(function, "most_beside", None)


def runs_alone(test):
    return most_beside(test) is not None


def run_all(tests, jobs):
    """Runs the tests, as many side by side as each allows. Returns a runner with the counts."""
    runner = Runner()
    for most in (None, 1, 0):
        names = [test[0] for test in tests if most_beside(test) == most]
        with ThreadPoolExecutor(jobs if most is None else min(jobs, most + 1)) as pool:
            try:
                for done in [pool.submit(runner.run, name) for name in names]:
                    done.result()
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
    parser.add_argument("--only", choices=["together", "alone"], help="only tests that run side by side, or those that run alone or in pairs")
    parser.add_argument("--list", action="store_true", help="print the names of the tests, and end")
    parser.add_argument("--here", metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    tests = list(discover(given.filter))
    if given.only:
        tests = [test for test in tests if runs_alone(test) == (given.only == "alone")]
    if given.list:
        for test in tests:
            print(test[0] + {None: "", 1: " (paired)", 0: " (alone)"}[most_beside(test)])
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
