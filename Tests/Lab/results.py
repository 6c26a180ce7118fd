# SPDX-License-Identifier: Apache-2.0
"""What a test saw, for people and for scripts/scoreboard."""

import json
import os


def _write(row):
    if path := os.environ.get("LAB_RESULTS"):
        with open(path, "a") as file:
            file.write(json.dumps(row) + "\n")


def conclude(passed):
    """What became of the test whose reports were written since the last conclusion."""
    _write({"passed": passed})


def report(count, seen, required, seed=None, detail=""):
    """Prints a line; with LAB_RESULTS set, also writes it to that file, as JSON. The caller judges.

    count: how much was tried, such as "50 changes, 9 120 connections". required, seen: in the same words.
    """
    ending = "" if seed is None else f" (seed {seed})"
    print(f"  {count}: {seen}, required {required}{ending}", flush=True)
    if detail:
        print("    " + str(detail).replace("\n", "\n    "), flush=True)
    _write({"count": count, "seen": seen, "required": required, "seed": seed, "detail": str(detail)})
