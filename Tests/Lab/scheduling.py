# SPDX-License-Identifier: Apache-2.0
"""Which tests may run beside others."""


def alone(test):
    """For a test that measures losses or times, or keeps every CPU busy: no other test runs beside it."""
    test.most_beside = 0
    return test


def paired(test):
    """For a test that waits, and whose limits on times have a second to spare: one more of its kind may run beside it."""
    test.most_beside = 1
    return test
