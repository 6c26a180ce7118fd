# SPDX-License-Identifier: Apache-2.0
"""Two daemons for one data plane, or none: exclusive use of pins, link and sockets."""

import os
import signal
import subprocess
import time

from balancing import Balancer
from lab import BIN
from results import report
from test_interface import program

HELD = 75


class Pair(Balancer):
    """A lab in which a second daemon is started, with a configuration that differs from the first one's in some words."""

    def __enter__(self):
        super().__enter__()
        # An interface that nothing uses, for configurations that name another one.
        self.on("balancer", "ip", "link", "add", "spare", "type", "veth", "peer", "name", "spare-peer")
        for name in ("spare", "spare-peer"):
            self.on("balancer", "ip", "link", "set", name, "up")
        return self

    def copy(self, name, *replacements):
        """The configuration with other words in it."""
        text = self.configuration.read_text()
        for before, after in replacements:
            assert before in text, f"{before!r} is not in the configuration"
            text = text.replace(before, str(after))
        path = self.run_directory / f"{name}.yaml"
        path.write_text(text)
        return path

    def other_sockets(self):
        return [(f"{self.run_directory}/control.sock", self.run_directory / "other-control.sock"),
                (f"{self.run_directory}/status.sock", self.run_directory / "other-status.sock"),
                (f"{self.run_directory}/state", self.run_directory / "other-state")]

    def spawn(self, configuration, *options, host="balancer"):
        process = subprocess.Popen(
            [str(word) for word in self._inside(host, [BIN / "sluiced", "--config", configuration, *options])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._processes.append(process)
        return process

    def ended(self, *arguments, seconds=10, **keywords):
        """Exit code and output of a daemon that is to end at once."""
        process = self.spawn(*arguments, **keywords)
        try:
            output = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("the second daemon runs on:\n" + process.communicate()[0]) from None
        return process.returncode, output

    def assert_held(self, code, output):
        assert code == HELD, (code, output)
        assert f"pid {self.daemon_pid}, configuration {self.configuration}" in output, output


def test_of_daemons_that_start_together_one_lives_and_the_others_name_it():
    with Pair() as lab:
        delays = (0, 0.02, 0.1, 0.3, 1)
        for delay in delays:
            lab.kill_daemon()
            pair = [lab.spawn(lab.configuration)]
            time.sleep(delay)
            pair.append(lab.spawn(lab.configuration))
            deadline = time.monotonic() + 15
            while all(process.poll() is None for process in pair):
                assert time.monotonic() < deadline, f"both live, started {delay} s apart"
                time.sleep(0.02)
            loser = next(process for process in pair if process.poll() is not None)
            winner = next(process for process in pair if process is not loser)
            (lab.run_directory / "sluiced.pid").write_text(str(winner.pid))
            lab.assert_held(loser.returncode, loser.stdout.read())
            lab.wait_for_daemon()
            assert winner.poll() is None
            assert lab.requests(50, 8)["failed"] == 0
        report(f"{len(delays)} pairs of daemons started 0 to 1 s apart", "one lives, the other names it", "one lives")


def test_pins_have_one_daemon_whatever_its_other_paths_are():
    with Pair() as lab:
        pins = lab.pins / "sluiced"
        # The same directory by another name, too.
        (lab.pins / "alias").symlink_to(pins)
        for name, spelled in (("sockets", pins), ("spelling", lab.pins / "alias")):
            other = lab.copy(name, *lab.other_sockets(), (f"pins: {pins}", f"pins: {spelled}"))
            lab.assert_held(*lab.ended(other))
            # From another network namespace.
            lab.assert_held(*lab.ended(lab.copy(name, *lab.other_sockets(), ("name: eth0", "name: client")), host="router"))
        lab.sluice("backend", "drain", "web/b1")
        assert "b1" not in lab.requests(100, 8)["by"]
        assert not (lab.run_directory / "other-control.sock").exists()


def test_pins_that_were_removed_stay_the_daemons_own():
    with Pair() as lab:
        subprocess.run(["rm", "-r", lab.pins / "sluiced"], check=True)
        deadline = time.monotonic() + 20
        while not (lab.pins / "sluiced/link").exists():
            assert time.monotonic() < deadline, "the pins are not made again"
            time.sleep(0.1)
        time.sleep(0.2)
        lab.assert_held(*lab.ended(lab.copy("other", *lab.other_sockets())))
        assert lab.requests(50, 8)["failed"] == 0


def test_a_copied_configuration_does_not_take_the_link_of_another_interface():
    with Pair() as lab:
        before = program(lab)
        lab.kill_daemon(signal.SIGTERM)
        spare = lab.copy("spare", *lab.other_sockets(), ("name: eth0", "name: spare"))
        code, output = lab.ended(spare)
        assert code == 70 and "forward on eth0" in output and "--take-over" in output, (code, output)
        # Another network namespace, whose interfaces may have the same number.
        numbers = {host: lab.on(host, "cat", "/sys/class/net/eth0/ifindex").stdout for host in ("balancer", "client")}
        code, output = lab.ended(lab.copy("client", *lab.other_sockets()), host="client")
        assert code == 70 and "another network namespace" in output, (code, output, numbers)
        assert program(lab) == before and program(lab, "spare") is None
        assert lab.requests(60, 8)["failed"] == 0
        moved = lab.spawn(spare, "--take-over")
        deadline = time.monotonic() + 15
        while program(lab, "spare") is None or program(lab) is not None:
            assert time.monotonic() < deadline and moved.poll() is None, "forwarding did not move"
            time.sleep(0.05)
        moved.terminate()
        moved.wait(10)
        (lab.run_directory / "sluiced.pid").unlink()


def test_a_daemon_removes_no_socket_but_its_own():
    with Pair() as lab:
        other = lab.copy(
            "other", ("name: eth0", "name: spare"), (f"{lab.pins}/sluiced", f"{lab.pins}/other"),
            (f"{lab.run_directory}/state", lab.run_directory / "other-state"))
        code, output = lab.ended(other)
        assert code == HELD and "answers on" in output and f"pid {lab.daemon_pid}" in output, (code, output)
        for name in ("control.sock", "status.sock"):
            (lab.run_directory / name).unlink()
        second = lab.spawn(other)
        lab.wait_for_daemon()
        assert lab.status()["interface"]["name"] == "spare"
        lab.kill_daemon(signal.SIGTERM)
        assert {path.name for path in lab.run_directory.glob("*.sock")} >= {"control.sock", "status.sock"}
        assert lab.status()["interface"]["name"] == "spare"
        second.terminate()
        second.wait(10)
        assert not list(lab.run_directory.glob("*.sock")), list(lab.run_directory.glob("*.sock"))
        # Nor is anything left of where they were born.
        assert not [name for name in os.listdir(lab.run_directory) if name.startswith(".")]
        (lab.run_directory / "sluiced.pid").unlink()


def test_forwarding_is_ended_without_a_daemon_and_begun_again_with_one():
    with Pair() as lab:
        def offline():
            done = lab.on("balancer", BIN / "sluiced", "--detach", "--config", lab.configuration, check=False)
            return done.returncode, done.stdout + done.stderr

        code, output = offline()
        assert code == HELD and f"pid {lab.daemon_pid}" in output and "sluice detach" in output, (code, output)
        assert lab.requests(20, 4)["failed"] == 0
        lab.sluice("detach", "--yes")
        assert program(lab) is None and lab.requests(1, 1)["failed"] == 1
        # What is changed meanwhile is what comes back.
        lab.sluice("backend", "drain", "web/b1")
        assert "+ forwarding" in lab.sluice("attach").stdout
        result = lab.requests(100, 8)
        assert program(lab) and result["failed"] == 0 and "b1" not in result["by"], result
        again = program(lab)
        lab.sluice("attach")
        assert program(lab) == again
        # The pins are whole: forwarding outlives the daemon, and the next one adopts it.
        lab.kill_daemon()
        assert lab.requests(50, 8)["failed"] == 0
        lab.start_daemon()
        assert "adopted the running maps" in (lab.run_directory / "sluiced.log").read_text()
        lab.kill_daemon(signal.SIGTERM)
        assert lab.requests(50, 8)["failed"] == 0
        code, output = offline()
        assert code == 0 and "detached from eth0" in output and "1 set of maps" in output, (code, output)
        assert program(lab) is None and not (lab.pins / "sluiced").exists()
        assert lab.requests(1, 1)["failed"] == 1
        code, output = offline()
        assert code == 0 and "no program was attached" in output, (code, output)
        lab.start_daemon()
        assert lab.requests(50, 8)["failed"] == 0
