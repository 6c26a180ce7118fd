# SPDX-License-Identifier: Apache-2.0
"""Which tests may run beside others."""


def alone(test):
    """For a test that measures losses or times, or keeps every CPU busy: no other test runs beside it."""
    test.runs_alone = True
    return test
