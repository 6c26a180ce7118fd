# SPDX-License-Identifier: Apache-2.0
"""Looks at the tables in force again and again while a test does something."""

import threading

from installed import owners


class TableWatch:
    """A context. `moved`: slots that got another owner, by pool; `seen`: the sets of owners that there were."""

    def __init__(self, lab, every=0.05):
        self._pins, self._every = lab.pins / "sluiced", every
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.failure = None
        self._missed = 0
        self.looks, self.moved, self.seen = 0, {}, {}

    def __enter__(self):
        self._last = owners(self._pins)
        self._note(self._last)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()
        assert self.failure is None, self.failure

    def _watch(self):
        try:
            while not self._ends.wait(self._every):
                self._look()
        except Exception as failure:
            self.failure = failure

    def _look(self):
        try:
            found = owners(self._pins)
        except (AssertionError, FileNotFoundError):
            # A daemon that starts brings a program, and then writes which set of maps is its own. It is not to take long.
            self._missed += 1
            if self._missed > 1 / self._every:
                raise
            return
        self._missed = 0
        self._note(found)

    def _note(self, found):
        self.looks += 1
        for pool, slots in found.items():
            before = self._last.get(pool, slots)
            self.moved[pool] = self.moved.get(pool, 0) + sum(map(str.__ne__, before, slots))
            self.seen.setdefault(pool, set()).add(frozenset(slots))
        self._last = found

    @property
    def now(self):
        return self._last
