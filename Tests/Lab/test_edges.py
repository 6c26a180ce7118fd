# SPDX-License-Identifier: Apache-2.0
"""The daemon's edges: few descriptors, a stop that clients would delay, addresses that cannot be listened on, and two
reloads at a time."""

import json
import os
import re
import signal
import socket
import time

import starting
from results import report
from scheduling import alone, paired
from stalls import Stalled, ask, connected, cpu_seconds, with_many_backends

CANNOT_START = 70


def limited(number):
    return ["prlimit", f"--nofile={number}:{number}"]


def attempt(lab, number):
    """Starts the daemon with so many descriptors, and says what became of it."""
    before = len(starting.log(lab))
    try:
        code = starting.attempt(lab, limited(number), SWIFT_BACKTRACE="enable=no")
    except TimeoutError:
        return "neither answers nor ends"
    if code is None:
        return "runs"
    return f"exit code {code}" + (", with the number" if "at least" in starting.log(lab)[before:] else "")


def needed_descriptors(lab):
    """The number that the daemon asks for where it has too few; None: it does not say."""
    lab.kill_daemon()
    attempt(lab, 64)
    found = re.findall(r"at least (\d+)", starting.log(lab))
    return int(found[-1]) if found else None


def test_too_few_descriptors_are_refused_with_the_number_needed():
    outcomes = {}
    with Stalled() as lab:
        lab.kill_daemon()
        for number in (16, 32, 64, 68, 69, 70, 71, 72, 80, 96, 128):
            outcomes[number] = attempt(lab, number)
            if outcomes[number] in ("runs", "neither answers nor ends"):
                lab.kill_daemon()
    report("A6: starts with few descriptors", ", ".join(f"{number}: {how}" for number, how in outcomes.items()),
           "runs, or exit code 70 with the number")
    wrong = {how for how in outcomes.values()} - {"runs", "exit code 70, with the number"}
    assert not wrong, outcomes


@alone
def test_idle_connections_do_not_take_the_descriptors_of_probes():
    with Stalled() as lab:
        number = needed_descriptors(lab) or 96
        lab.start_daemon(*limited(number))
        lab.await_ready()
        before = lab.failover()
        with connected(lab.socket, 100) as control, connected(lab.status_socket, 100) as status:
            began, used = time.monotonic(), cpu_seconds(lab.daemon_pid)
            during = lab.failover()
            time.sleep(3)
            load = (cpu_seconds(lab.daemon_pid) - used) / (time.monotonic() - began)
            held = len(control) + len(status)
        try:
            answered = ask(lab.socket, "GET", "/v1/status", timeout=10)[0]
        except OSError:
            answered = None
    report(f"A6: {number} descriptors, {held} idle connections",
           f"failover {before:.2f} s before, {during:.2f} s during, {load:.0%} of a core; afterwards GET: {answered}",
           "at most 1.5 s more, 40 %, 200")
    assert during <= before + 1.5 and load < 0.4, (before, during, load)
    assert answered == 200


# MARK: SIGTERM


def stop_test(what, hold):
    """hold: connections of clients that would delay the end."""
    with Stalled(with_many_backends(2000)) as lab:
        lab.kill_daemon()
        lab.start_daemon()
        clients = hold(lab)
        time.sleep(1)
        ended = lab.end()
        for client in clients:
            client.close()
    report(f"A8: SIGTERM with {what}", f"ended after {ended:.1f} s", "at most 5 s")
    assert ended < 5, ended


def client(path, text):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    connection.sendall(text.encode())
    return connection


@paired
def test_the_daemon_ends_though_a_client_takes_nothing_of_its_answer():
    stop_test("clients that take nothing of a large answer", lambda lab: [
        client(lab.status_socket, 20 * "GET /v1/backends HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(4)])


@paired
def test_the_daemon_ends_though_a_body_comes_slowly():
    stop_test("clients that send their bodies slowly", lambda lab: [
        client(lab.socket, "POST /v1/config/check HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nversion")
        for _ in range(4)])


@paired
def test_the_daemon_ends_though_followers_do_not_read():
    stop_test("followers of events that do not read", lambda lab: [
        client(lab.status_socket, "GET /v1/events?follow=1&since=0 HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(8)])


@paired
def test_the_daemon_ends_though_reloads_and_changes_are_under_way():
    def hold(lab):
        for number in range(4):
            lab_change = {"address": f"10.0.2.{90 + number}"}
            client(lab.socket, "POST /v1/pools/web/backends/n%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (
                number, len(json.dumps(lab_change)), json.dumps(lab_change)))
        return []

    stop_test("changes that wait for next hops", hold)


# MARK: Listening


def listening_test(what, address, make_possible, held=None):
    """A daemon whose status.listen cannot be bound at its start. `held`: a listener that is in its way."""
    host, port = address.rsplit(":", 1)
    with Stalled() as lab:
        lab.kill_daemon()
        lab.configuration.write_text(json.dumps(lab.settings | {
            "status": {"socket": str(lab.status_socket), "listen": address}}, indent=1))
        blocker = held(lab, host, port) if held else None
        began = time.monotonic()
        try:
            code = starting.attempt(lab)
        except TimeoutError:
            code = "neither answers nor ends"
        if code is None:
            alarms = [alarm["code"] for alarm in lab.status()["alarms"]]
            lab.await_ready()
            failover = lab.failover()
            make_possible(lab, blocker)
            metrics = f"curl -s --max-time 2 http://{address}/metrics | grep -c ^sluice_build_info"
            freed = time.monotonic()
            while lab.on("balancer", "bash", "-c", metrics, check=False).stdout.strip() != "1":
                assert time.monotonic() < freed + 20, "it is not listened on though it can be"
                time.sleep(0.2)
            cleared = time.monotonic()
            while "not-listening" in [alarm["code"] for alarm in lab.status()["alarms"]]:
                assert time.monotonic() < cleared + 12, "the alarm stays"
                time.sleep(0.2)
        ended = lab.end()
    seen = f"started, alarms {alarms}, failover {failover:.2f} s" if code is None else f"start: {code}"
    report(f"A9: {what}", f"{seen}; SIGTERM: ended after {ended:.1f} s", "starts with an alarm; ends within 5 s")
    assert code is None and "not-listening" in alarms and failover < 4, (code, seen)
    assert ended < 5, ended


def listener(lab, host, port):
    process = lab.start("balancer", "python3", "-c", (
        f"import socket, time; s = socket.create_server(('{host}', {port})); print('ready', flush=True);"
        " time.sleep(600)"))
    assert process.stdout.readline().strip() == "ready", process.stderr.read()
    return process


@paired
def test_a_port_in_use_does_not_keep_the_daemon_from_forwarding():
    def free(lab, blocker):
        blocker.kill()
        blocker.wait()

    listening_test("status.listen on a port in use", "127.0.0.1:9870", free, listener)


@paired
def test_an_address_that_is_not_there_does_not_keep_the_daemon_from_forwarding():
    listening_test("status.listen on an address that is not there", "192.0.2.99:9870", lambda lab, _: lab.on(
        "balancer", "ip", "address", "add", "192.0.2.99/32", "dev", "lo"))


def test_a_socket_that_cannot_be_made_ends_the_start():
    outcomes = {}
    with Stalled() as lab:
        lab.kill_daemon()
        good = lab.settings
        for key in ("control", "status"):
            for what, path in (("below a file", f"{lab.configuration}/x.sock"), ("in /proc", "/proc/x.sock")):
                wanted = json.loads(json.dumps(good))
                wanted[key]["socket"] = path
                lab.configuration.write_text(json.dumps(wanted, indent=1))
                process = starting.spawned(lab)
                deadline = time.monotonic() + 10
                while process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                outcomes[f"{key} {what}"] = process.poll()
                if process.poll() is None:
                    process.kill()
                    process.wait()
    report("A9: sockets that cannot be made", str(outcomes), "exit code 70")
    assert set(outcomes.values()) == {CANNOT_START}, outcomes


# MARK: Two reloads


def test_a_reload_that_is_done_is_not_undone_by_an_older_one():
    with Stalled() as lab:
        lab.await_ready()
        weight = lambda: lab.rows()["b1"]["weight"]
        wrong = []
        for round in range(5):
            older, newer = lab.settings, lab.settings
            silent = {"name": f"silent{round}", "address": f"10.0.2.{100 + round}"}
            backends = [each for each in older["pools"]["web"]["backends"] if not each["name"].startswith("silent")]
            backends[0] |= {"weight": 41 + 2 * round}
            older["pools"]["web"]["backends"] = [*backends, silent]
            newer["pools"]["web"]["backends"] = [backends[0] | {"weight": 42 + 2 * round}, *backends[1:]]
            lab.configuration.write_text(json.dumps(older, indent=1))
            os.kill(lab.daemon_pid, signal.SIGHUP)
            time.sleep(0.15)
            lab.configuration.write_text(json.dumps(newer, indent=1))
            assert ask(lab.socket, "POST", "/v1/config/reload")[0] == 200
            seen = [weight()]
            time.sleep(1)
            seen.append(weight())
            if seen != [42 + 2 * round] * 2:
                wrong.append(seen)
    report("C1: 5 times SIGHUP, then a reload of a newer file", f"{len(wrong)} times the older one is in force {wrong}",
           "0 times")
    assert not wrong, wrong
