# SPDX-License-Identifier: Apache-2.0
"""`scripts/lab down` removes everything that `up` made, even if `up` was killed."""

import subprocess
import time
from pathlib import Path

from lab import ROOT, VIP4, Lab, run


def remains(lab):
    found = [str(path) for path in Path("/run/netns").glob(f"sl-{lab.name}-*")]
    found += [str(path) for path in (lab.run_directory, lab.pins) if path.exists()]
    return found + run(["pgrep", "-f", f"sluice-lab-{lab.name}/"], check=False).stdout.split()


def test_down_leaves_nothing():
    with Lab() as lab:
        assert remains(lab)
        assert lab.on("client", "curl", "-s", "http://10.0.11.2/").stdout == "backend b1\n"
        assert lab.on("client", "curl", "-sg", "http://[fd00:0:0:12::2]:8080/name").stdout == "b2\n"
    assert remains(lab) == []


def test_down_completes_what_a_killed_up_left():
    for moment in (0.05, 0.15, 0.25, 0.35):
        lab = Lab()
        up = subprocess.Popen([ROOT / "scripts/lab", "up", "--name", lab.name])
        time.sleep(moment)
        up.kill()
        up.wait()
        # The command that it had just started ends by itself.
        time.sleep(0.3)
        run([ROOT / "scripts/lab", "down", "--name", lab.name])
        assert remains(lab) == [], f"killed after {moment} s: {remains(lab)}"
        run([ROOT / "scripts/lab", "down", "--name", lab.name])


def test_uploads_are_read_to_the_end():
    with Lab() as lab:
        for method in ("PUT", "POST"):
            done = lab.on(
                "client", "curl", "-s", "-X", method, "--data-binary", "@-", "http://10.0.11.2/upload",
                input="x" * 3_000_000,
            )
            assert done.stdout == "b1 received 3000000\n", done.stdout
        assert VIP4 in lab.on("b1", "ip", "-brief", "address", "show", "lo").stdout
