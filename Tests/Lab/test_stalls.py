# SPDX-License-Identifier: Apache-2.0
"""A backend that dies leaves the table in time, whatever is slow beside the control plane: disk, log, files, clients."""

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from checked import check
from lab import BIN
from results import report
from scheduling import paired
from stalls import Stalled, ask, median_seconds, repeated, stall_settings, with_many_backends

F_SETPIPE_SZ = 1031
# A backend on the balancer's link that nobody has: its next hop is asked for and never answers.
SILENT = {"name": "silent", "address": "10.0.2.77"}


@contextmanager
def slow_disk(lab, seconds):
    """Delays every fsync of the daemon."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-p", str(lab.daemon_pid), "-e", "trace=fsync,fdatasync", "-e",
         f"inject=fsync,fdatasync:delay_enter={seconds}000000", "-o", lab.run_directory / "strace"],
        stdin=subprocess.DEVNULL)
    time.sleep(1)
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait(30)


@contextmanager
def in_background(*bodies):
    """Calls each once, on a thread of its own, and does not wait for any."""
    def call(body):
        try:
            body()
        except (OSError, HTTPException):
            pass

    for body in bodies:
        threading.Thread(target=call, args=(body,), daemon=True).start()
    yield


def slow_disk_test(seconds):
    with Stalled() as lab:
        def change():
            ask(lab.socket, "POST", "/v1/pools/web/backends/b1/drain")

        @contextmanager
        def disturb():
            with slow_disk(lab, seconds), in_background(change):
                yield

        longest = lab.compare_failover(f"A1: fsync takes {seconds} s", disturb(), 0.3)
        assert longest < 1, longest


@paired
def test_failover_does_not_wait_for_a_disk_that_takes_1_s():
    slow_disk_test(1)


@paired
def test_failover_does_not_wait_for_a_disk_that_takes_5_s():
    slow_disk_test(5)


@paired
def test_failover_does_not_wait_for_a_disk_that_takes_20_s():
    slow_disk_test(20)


@paired
def test_failover_does_not_wait_for_a_reader_of_the_log():
    with Stalled() as lab:
        lab.kill_daemon()
        reading, writing = os.pipe()
        fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
        process = subprocess.Popen(
            lab._inside("balancer", [str(BIN / "sluiced"), "--config", str(lab.configuration)]),
            stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
        os.close(writing)
        lab._processes.append(process)
        (lab.run_directory / "sluiced.pid").write_text(str(process.pid))
        lab.wait_for_daemon()

        # Each reload logs a warning for each of these.
        wanted = lab.settings
        wanted["pools"] |= {
            f"unused-{number}": {"table_size": 1009, "backends": [{"name": "x", "address": f"10.0.40.{number}"}]}
            for number in range(1, 13)}
        lab.configuration.write_text(json.dumps(wanted, indent=1))
        change = lambda: ask(lab.socket, "POST", "/v1/config/reload", timeout=NEVER_ANSWERED)
        lab.compare_failover("A2: nobody reads the pipe that is stderr", repeated(change), 6)
        deadline = time.monotonic() + 90
        with repeated(change):
            while not lab.metric("sluice_log_lines_dropped_total"):
                assert time.monotonic() < deadline, "no line was dropped"
                time.sleep(0.2)
        os.set_blocking(reading, False)
        text, deadline = "", time.monotonic() + 10
        while "lines of the log were dropped" not in text:
            assert time.monotonic() < deadline, text[-1000:]
            try:
                text += os.read(reading, 65536).decode()
            except BlockingIOError:
                time.sleep(0.05)
        assert lab.end() < 5


NEVER_ANSWERED = 20


def special_file_test(fault, plant, code=422, words="not a regular file"):
    """A file that the configuration names is one that cannot be read to its end."""
    with Stalled() as lab:
        lab.await_ready()
        plant(lab)
        answers = []
        reload = lambda: answers.append(ask(lab.socket, "POST", "/v1/config/reload", timeout=60))
        hangup = lambda: os.kill(lab.daemon_pid, signal.SIGHUP)
        lab.compare_failover(fault, in_background(reload, hangup))
        ended = lab.end()
        report(f"{fault}: the answer to a reload, and SIGTERM",
               f"{answers[0][0] if answers else 'none'}; ended after {ended:.1f} s", f"{code}; at most 5 s")
        assert answers and answers[0][0] == code and words in answers[0][1], answers
        assert ended < 5, ended


def in_drop_ins(lab, make):
    directory = lab.run_directory / "conf.d"
    directory.mkdir()
    make(directory / "a.yaml")


def configured(lab, **more):
    wanted = lab.settings | more
    wanted = {key: value for key, value in wanted.items() if value is not None}
    lab.configuration.write_text(json.dumps(wanted, indent=1))


@paired
def test_failover_does_not_wait_for_a_fifo_in_conf_d():
    special_file_test("A3: a FIFO in conf.d", lambda lab: in_drop_ins(lab, os.mkfifo))


@paired
def test_failover_does_not_wait_for_a_device_in_conf_d():
    def link(path):
        # A terminal that nobody types at.
        path.symlink_to(os.ttyname(os.openpty()[1]))

    special_file_test("A3: a terminal in conf.d", lambda lab: in_drop_ins(lab, link))


@paired
def test_failover_does_not_wait_for_a_fifo_as_the_seed():
    def plant(lab):
        seed = lab.run_directory / "seed"
        os.mkfifo(seed)
        configured(lab, hash_seed=None, hash_seed_file=str(seed))

    special_file_test("A3: a FIFO as the seed file", plant)


@paired
def test_failover_does_not_wait_for_a_fifo_as_the_authorities_of_a_check():
    """A pool whose checks cannot work is a warning: the configuration is applied."""
    def plant(lab):
        authorities = lab.run_directory / "ca.pem"
        os.mkfifo(authorities)
        wanted = lab.settings
        wanted["pools"]["tls"] = {
            "table_size": 1009, "backends": [{"name": "b1", "address": "10.0.11.2"}],
            "check": check("https", host="h.example", tls_ca=str(authorities))}
        wanted["services"].append({"name": "tls", "vips": ["10.100.0.9"], "ports": ["443/tcp"], "pool": "tls"})
        lab.configuration.write_text(json.dumps(wanted, indent=1))

    special_file_test("A3: a FIFO as the authorities of a check", plant, 200, "")


def large_configurations(lab):
    """By what is in them: texts of at most 1 MiB."""
    def backends(more):
        return "".join(
            f"      - {{ name: x{number:05d}, address: 10.{number >> 16}.{number >> 8 & 255}.{number & 255}{more} }}\n"
            for number in range(1, 18_000))

    head = "".join(
        f"{key}: {json.dumps(lab.settings[key])}\n"
        for key in ("version", "node", "interfaces", "hash_seed", "defaults", "control", "status", "paths"))
    head += "limits: { backends: 65536, slots: 524288, pairs: 65536 }\n"
    pools = "pools:\n  web:\n    table_size: 65537\n    backends:\n"
    fits = (1 << 20) - 100
    return {
        "17 999 backends": (head + pools + backends("")),
        "mistakes in 15 000 backends": (head + pools + backends(", wieght: 1"))[:fits].rpartition("\n")[0] + "\n",
        "200 000 equal keys": "version: 1\n" + "a: 1\n" * 200_000,
        "a list of 190 000 items": head + "pools: { web: { backends: [" + "a, " * 190_000 + "a] } }\n",
    }


def large_configuration_test(name, reload=False):
    with Stalled() as lab:
        text = large_configurations(lab)[name].encode()
        assert len(text) <= 1 << 20, len(text)
        took, memory = [], []

        def check():
            began = time.monotonic()
            if reload:
                lab.configuration.write_bytes(text)
                os.kill(lab.daemon_pid, signal.SIGHUP)
                return
            ask(lab.socket, "POST", "/v1/config/check", body=text, timeout=120)
            took.append(time.monotonic() - began)

        before = peak_memory(lab)
        lab.compare_failover(f"A4: a {'reload' if reload else 'check'} of {name}", in_background(check), 0.3)
        deadline = time.monotonic() + 60
        while not (took or reload) and time.monotonic() < deadline:
            time.sleep(0.1)
        grown = peak_memory(lab) - before
        report(f"A4: {name}, {len(text) / 1e6:.1f} MB", f"answer after {took[0]:.1f} s" if took else "no answer in 60 s"
               if not reload else "no answer is given", "within 10 s", detail=f"memory grew by {grown:.0f} MB at its peak")
        assert reload or (took and took[0] < 10), took


def peak_memory(lab):
    """The most megabytes that the daemon has had."""
    lines = Path(f"/proc/{lab.daemon_pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@paired
def test_failover_does_not_wait_for_a_check_of_a_large_configuration():
    large_configuration_test("17 999 backends")


@paired
def test_failover_does_not_wait_for_a_check_of_many_mistakes():
    large_configuration_test("mistakes in 15 000 backends")


@paired
def test_failover_does_not_wait_for_a_check_of_equal_keys():
    large_configuration_test("200 000 equal keys")


@paired
def test_failover_does_not_wait_for_a_check_of_a_long_list():
    large_configuration_test("a list of 190 000 items")


@paired
def test_failover_does_not_wait_for_a_reload_of_a_large_configuration():
    large_configuration_test("mistakes in 15 000 backends", reload=True)


def hostile_reader_test(fault, request, threads=2):
    with Stalled(with_many_backends(2000)) as lab:
        lab.compare_failover(fault, repeated(lambda: request(lab), threads))


@paired
def test_failover_does_not_wait_for_a_name_of_1000_letters():
    hostile_reader_test("A5: names of 1 000 letters are asked for", lambda lab: ask(
        lab.status_socket, "GET", f"/v1/pools/many/backends/{'backend-number' * 71}"))


@paired
def test_failover_does_not_wait_for_a_name_of_15000_letters():
    hostile_reader_test("A5: names of 15 000 letters are asked for", lambda lab: ask(
        lab.status_socket, "GET", f"/v1/pools/many/backends/{'backend-number' * 1071}"))


@paired
def test_failover_does_not_wait_for_an_unknown_field_of_1_MB():
    body = ('{"' + "state" * 200_000 + '": 1}').encode()
    hostile_reader_test("A5: JSON with an unknown field of 1 MB", lambda lab: ask(
        lab.socket, "PATCH", "/v1/pools/many/backends/backend-number-1", body=body), threads=4)


@paired
def test_failover_does_not_wait_for_readers_of_everything():
    hostile_reader_test("A5: four readers of all 2 000 backends", lambda lab: ask(
        lab.status_socket, "GET", "/v1/backends"), threads=4)


def settings_with_silent_pool():
    wanted = stall_settings()
    wanted["pools"]["other"] = {"table_size": 1009, "backends": [SILENT]}
    wanted["services"].append({"name": "other", "vips": ["10.100.0.9"], "ports": ["80/tcp"], "pool": "other"})
    return wanted


@paired
def test_a_change_does_not_wait_for_the_next_hops_of_other_backends():
    took = []
    for wanted in (stall_settings(), settings_with_silent_pool()):
        with Stalled(wanted) as lab:
            lab.await_ready()
            weights = iter(range(50, 90))
            took.append(median_seconds(lambda: ask(
                lab.socket, "PATCH", "/v1/pools/web/backends/b1", body=b'{"weight": %d}' % next(weights))))
            if wanted["pools"].get("other"):
                change = lambda: ask(
                    lab.socket, "PATCH", "/v1/pools/web/backends/b1", body=b'{"weight": %d}' % (1 + time.time_ns() % 90))
                lab.compare_failover("A7: changes, while a next hop never resolves", repeated(change))
    report("A7: a change, without and with a silent next hop in another pool",
           f"{1000 * took[0]:.0f} ms, {1000 * took[1]:.0f} ms", "at most 100 ms more")
    assert took[1] < took[0] + 0.1, took
