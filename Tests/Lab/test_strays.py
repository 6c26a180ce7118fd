# SPDX-License-Identifier: Apache-2.0
"""Packets without a connection: a drain does not wait for strays, and forgeries move no connection."""

import ipaddress
import random
import time

from configured import UDP_PORT, Configured, member, settings
from lab import BIN, VIP4
from results import report
from sizes import size
from strays import ACK, FIN, RST, SYN, segment4
from traffic import HERE, PORTS, PYTHON, Traffic, judge

HOSTS = ["b1", "b2", "b3"]
# Longer than an ending flow is counted, and than the daemon takes to look again.
ENDING, LOOK = 10, 10
# Of a service of its own, without connections.
LONELY_TCP, LONELY_UDP = 7100, 9100


def drained_settings(quiet):
    wanted = settings(HOSTS, pool={"drain": {"quiet": f"{quiet}s"}}, flows=262144)
    wanted["pools"]["lonely"] = {**wanted["pools"]["web"], "backends": [member(host) for host in HOSTS]}
    wanted["services"].append(
        {"name": "lonely", "vips": [VIP4], "ports": [f"{LONELY_TCP}/tcp", f"{LONELY_UDP}/udp"], "pool": "lonely"})
    return wanted


def remove(lab, host):
    wanted = lab.settings
    backends = wanted["pools"]["web"]["backends"]
    wanted["pools"]["web"]["backends"] = [each for each in backends if each["name"] != host]
    lab.reload(wanted)


def ping_for(traffic, seconds):
    """Idle connections speak now and every third second."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        traffic.ping_idle()
        time.sleep(3)


def test_a_drain_under_strays_ends_in_time_and_cuts_0_connections():
    quiet, victim, seed, rate = 8, "b2", size("SEED", 71), 100
    with Configured(drained_settings(quiet), len(HOSTS)) as lab:
        traffic = Traffic(
            lab, HOSTS, [VIP4], seed, downloads=size("STRAY_DOWNLOADS", 150), idle=size("STRAY_IDLE", 450))
        strays = lab.start(
            "client", PYTHON, HERE / "strays.py", VIP4, rate, 120, seed, f"{PORTS[0]}/{UDP_PORT}",
            f"{LONELY_TCP}/{LONELY_UDP}")
        assert strays.stdout.readline().strip() == "ready", strays.stderr.read()
        time.sleep(3)
        real = traffic.established(victim)
        # It leaves when its drain is over: what it has then is cut.
        remove(lab, victim)
        began = time.monotonic()
        lonely = lab.start(
            "client", BIN / "sluice", "backend", "drain", f"lonely/{victim}", "--wait", "--timeout",
            f"{quiet + LOOK}s", "--socket", lab.socket)
        ping_for(traffic, quiet + LOOK + 5)
        out, err = lonely.communicate(timeout=10)
        status = lab.api("GET", f"/v1/pools/web/backends/{victim}/drain")
        held = lab.rows().get(victim, {}).get("flows")
        connections = traffic.stop_client()
        ended = time.monotonic()
        limit = ended + ENDING + quiet + 2 * LOOK
        while victim in lab.rows() and time.monotonic() < limit:
            time.sleep(0.2)
        gone = time.monotonic() - ended
        left = lab.rows().get(victim)
        noise = status[1].get("unconfirmed", 0)
        traffic.stop_servers()
    judgement = judge(connections)
    report(
        f"{rate} strays a second of each of five kinds, a backend with {real} connections leaves, one without drains",
        f"{len(judgement.broken)} connections broken, flows left {held}, gone {gone:.1f} s after the last of them; the"
        f" drain without connections ended with {lonely.returncode}",
        f"0, {real}, {ENDING} + {LOOK} s at most, 0 within quiet {quiet} + 10 s", seed,
        f"{judgement}\n{out}{noise} flows heard once at the end")
    assert real > size("STRAY_IDLE", 450) // 4 and noise > 100, (real, noise)
    assert lonely.returncode == 0, (out, err)
    assert not judgement.broken, judgement.examples()
    assert held == real, (held, real)
    assert left is None and gone < ENDING + 2 * LOOK, (gone, left)


def peers(lab, host):
    """Local and remote address and port of a backend's connections."""
    for line in lab.on(host, "ss", "-Htn4", "state", "established").stdout.splitlines() + lab.on(
            host, "ss", "-Htn6", "state", "established").stdout.splitlines():
        local, remote = (end.rsplit(":", 1) for end in line.split()[2:4])
        if int(local[1]) in PORTS:
            yield [(ipaddress.ip_address(address.strip("[]").removeprefix("::ffff:")).packed, int(port))
                   for address, port in (local, remote)]


def test_two_forged_packets_move_0_connections():
    victim, seed = "b2", size("SEED", 72)
    random.seed(seed)
    with Configured(settings(HOSTS), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4], seed, idle=size("FORGED_IDLE", 60))
        time.sleep(2)
        lab.sluice("backend", "drain", f"web/{victim}")
        traffic.ping_idle()
        time.sleep(1)
        targets = list(peers(lab, victim))
        for number, ((vip, port), (client, client_port)) in enumerate(targets):
            for flags in ((RST, SYN), (FIN | ACK, SYN))[number % 2]:
                forged = segment4(client, client_port, vip, port, flags, random.randrange(1 << 32))
                lab.exchange("client", [forged], seconds=0)
        traffic.ping_idle()
        time.sleep(1)
        kept = len(list(peers(lab, victim)))
        judgement = judge(traffic.stop())
    moved = len(targets) - kept
    report(
        f"a forged RST or FIN and then a SYN for each of {len(targets)} connections of a backend that drains",
        f"{moved} moved, {len(judgement.broken)} broken", "0, 0", seed)
    assert len(targets) >= 12
    assert moved == 0 and not judgement.broken, judgement.examples()
