#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the lab tests: every function test_* of every test_*.py beside this file whose name holds FILTER.

    /usr/bin/python3 Tests/Lab/run.py [FILTER]

Needs root. A test makes its own lab and fails by an exception; tests run one after the other.
"""

import importlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from results import conclude


def discover(pattern):
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in list(vars(module).items()):
            full_name = f"{path.stem[len('test_'):]}.{name[len('test_'):]}"
            if name.startswith("test_") and callable(function) and pattern in full_name:
                yield full_name, function


def interrupted(*_):
    # As an exception, so that the test at work takes its lab down; once, for timeout(1) tells the process and then its
    # whole group, and a second one would interrupt that.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(pattern):
    if os.geteuid() != 0:
        sys.exit("run.py: network namespaces need root: run it with sudo")
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, interrupted)
    passed = failed = 0
    for name, function in discover(pattern):
        started = time.monotonic()
        try:
            function()
        except Exception:
            failed += 1
            conclude(False)
            print(f"FAIL {name} ({time.monotonic() - started:.1f} s)", flush=True)
            print("  " + traceback.format_exc().rstrip().replace("\n", "\n  "), flush=True)
        else:
            passed += 1
            conclude(True)
            print(f"PASS {name} ({time.monotonic() - started:.1f} s)", flush=True)
    if passed + failed == 0:
        sys.exit(f"run.py: no test's name holds '{pattern}'")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
