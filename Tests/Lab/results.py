# SPDX-License-Identifier: Apache-2.0
"""What a test saw, for people and for scripts/scoreboard."""

import json
import os


def report(count, seen, required, seed=None, detail=""):
    """Prints a line; with LAB_RESULTS set, also writes it to that file, as JSON. The caller judges.

    count: how much was tried, such as "50 changes, 9 120 connections". required, seen: in the same words.
    """
    ending = "" if seed is None else f" (seed {seed})"
    print(f"  {count}: {seen}, required {required}{ending}", flush=True)
    if detail:
        print("    " + str(detail).replace("\n", "\n    "), flush=True)
    if path := os.environ.get("LAB_RESULTS"):
        with open(path, "a") as file:
            row = {"count": count, "seen": seen, "required": required, "seed": seed, "detail": str(detail)}
            file.write(json.dumps(row) + "\n")
