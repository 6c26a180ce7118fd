# SPDX-License-Identifier: Apache-2.0
"""How large a test is: small by default, larger where the environment says so, as scripts/scoreboard does."""

import os


def size(name, default):
    """The number in LAB_NAME, in the type of the default."""
    return type(default)(os.environ.get(f"LAB_{name}", default))
