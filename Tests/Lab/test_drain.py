# SPDX-License-Identifier: Apache-2.0
"""A drained backend keeps its flows to their end and gets no new ones, under load; and the drain says how far it is."""

import json
import time

from configured import UDP_PORT, Configured, settings
from lab import BIN, VIP4
from results import report
from scheduling import alone
from sizes import size
from traffic import HERE, PORTS, PYTHON, Traffic, judge

HOSTS = ["b1", "b2", "b3"]
UDP_IDLE = 5
# What the daemon stores as seconds the packet path counts in ticks of about a second.
TICK = 1.1
# Between two packets of which the second confirms that a flow lives.
CONFIRMING = 3


def watch_syns(lab, host):
    watch = lab.start(host, PYTHON, HERE / "syn_watch.py", *PORTS)
    assert watch.stdout.readline().strip() == "ready", watch.stderr.read()
    return watch


@alone
def test_0_new_connections_reach_a_drained_backend_and_0_old_ones_are_cut():
    seed, victim = size("SEED", 5), "b2"
    with Configured(settings(HOSTS, flows=262144), len(HOSTS)) as lab:
        traffic = Traffic(
            lab, HOSTS, [VIP4], seed, downloads=size("DRAIN_DOWNLOADS", 60), rate=size("DRAIN_RATE", 200),
            lives=(0.0, 0.5, 3.0))
        watch = watch_syns(lab, victim)
        time.sleep(3)
        lab.sluice("backend", "drain", f"web/{victim}")
        returned = time.monotonic()
        time.sleep(size("DRAIN_SECONDS", 6.0))
        connections = traffic.stop()
        syns = json.loads(watch.communicate("", timeout=10)[0])

    new = [each for each in connections if each.started > returned]
    late = [syn for syn in syns if syn[0] > returned]
    known = {each.port for each in connections} - {each.port for each in new}
    unknown = [syn for syn in late if syn[1] not in known]
    old = [each for each in connections if each.backend == victim and each.started <= returned]
    cut = [each for each in old if not each.is_whole]
    wrong = [each for each in new if each.backend == victim]
    report(
        f"{len(new)} connections begun after the drain, {len(old)} before it on {victim}",
        f"{len(unknown)} SYNs of new flows, {len(wrong)} new connections, {len(cut)} old ones cut", "0, 0, 0", seed,
        f"SYNs that reached {victim}: {len(syns)}, after the drain {len(late)}; all: {judge(connections)}")
    assert len(syns) > 50 and len(new) > 500 and len(old) > 50, "too little load to say anything"
    assert not unknown and not wrong, (unknown[:10], wrong[:10])
    assert not cut, cut[:10]
    assert not judge(connections).broken, judge(connections).examples()


def udp_flows(lab, seconds, during):
    """When each flow began, by its port; and which backends saw how many datagrams of which port."""
    sinks = {host: lab.start(host, PYTHON, HERE / "udp_sink.py", VIP4, UDP_PORT) for host in HOSTS}
    for sink in sinks.values():
        assert sink.stdout.readline().strip() == "ready", sink.stderr.read()
    rate = size("DRAIN_UDP_RATE", 50)
    client = lab.start("client", PYTHON, HERE / "udp_flows.py", VIP4, UDP_PORT, 150, rate, seconds)
    during()
    out, err = client.communicate(timeout=seconds + 30)
    assert out, err
    time.sleep(0.3)
    seen = {host: json.loads(sink.communicate("", timeout=30)[0])["flows"] for host, sink in sinks.items()}
    return {str(port): began for port, began in json.loads(out)}, seen


def test_0_udp_flows_begun_later_than_udp_idle_reach_a_drained_backend():
    victim, returned = "b2", []

    def drain():
        time.sleep(4)
        lab.sluice("backend", "drain", f"web/{victim}")
        returned.append(time.monotonic())

    with Configured(settings(HOSTS, {"udp_idle": f"{UDP_IDLE}s"}, flows=262144), len(HOSTS)) as lab:
        began, seen = udp_flows(lab, 4 + UDP_IDLE + 6, drain)

    backends = {port: [host for host in HOSTS if port in seen[host]] for port in began}
    later = [port for port, when in began.items() if when > returned[0] + UDP_IDLE + TICK]
    wrong = [port for port in later if victim in backends[port]]
    between = [port for port, when in began.items() if returned[0] < when and port not in later]
    old = [port for port, when in began.items() if when <= returned[0]]
    moved = [port for port in began if len(backends[port]) > 1]
    silent = [port for port in began if not backends[port]]
    kept = [sum(victim in backends[port] for port in ports) for ports in (old, between)]
    report(
        f"UDP flows: {len(old)} begun before a drain, {len(between)} within udp_idle of it, {len(later)} later",
        f"{len(wrong)} of the last on {victim}, {len(moved)} of all cut", "0, 0",
        detail=f"of the first {kept[0]}, of the second {kept[1]} on {victim}; {len(silent)} of all never arrived")
    assert len(later) > 100 and any(victim in backends[port] for port in old)
    assert not wrong and not moved and not silent, (wrong[:5], moved[:5], silent[:5])


def flows_left(lab, host):
    status = lab.api("GET", f"/v1/pools/web/backends/{host}/drain")[1]
    return status["flows"]


def test_flows_left_are_those_that_the_backend_has_and_the_drain_ends_with_them():
    victim, quiet = "b2", 2
    # Longer than an ending flow is counted.
    ended = 13
    seen = {}

    def compare(lab, traffic, when):
        # Until flows that speak all the time are confirmed; and a census may be a second old.
        time.sleep(CONFIRMING + 1.5)
        seen[when] = (flows_left(lab, victim), traffic.established(victim))

    with Configured(settings(HOSTS, pool={"drain": {"quiet": f"{quiet}s"}}, flows=262144), len(HOSTS)) as lab:
        count = size("DRAIN_CONNECTIONS", 60)
        half = Traffic(lab, HOSTS, [VIP4], size("SEED", 8), downloads=count, idle=count)
        other_half = Traffic(lab, [], [VIP4], size("SEED", 8), downloads=count, idle=count)
        time.sleep(2)
        lab.sluice("backend", "drain", f"web/{victim}")
        compare(lab, half, "idle ones silent")
        for _ in range(2):
            half.ping_idle()
            other_half.ping_idle()
            time.sleep(CONFIRMING)
        compare(lab, half, "all heard")
        connections = other_half.stop_client()
        time.sleep(ended)
        compare(lab, half, "half of them ended")
        early = lab.sluice("backend", "drain", f"web/{victim}", "--wait", "--timeout", "2s", check=False)
        waiting = lab.start(
            "client", BIN / "sluice", "backend", "drain", f"web/{victim}", "--wait", "--timeout", "60s", "--socket",
            lab.socket)
        connections += half.stop_client()
        done = time.monotonic()
        out, err = waiting.communicate(timeout=70)
        waited = time.monotonic() - done
        compare(lab, half, "drained")
        half.stop_servers()

    said = "; ".join(f"{when}: {left} of {truth}" for when, (left, truth) in seen.items())
    report(
        f"flows left, as told and as the backend has them, {len(connections)} connections", said,
        "at most all, all, all, 0 of 0", size("SEED", 8),
        f"drain --wait ended {waited:.1f} s after the last connection, code {waiting.returncode}\n{out}")
    assert 0 < seen["idle ones silent"][0] <= seen["idle ones silent"][1], said
    assert seen["all heard"][0] == seen["all heard"][1] > 0, said
    assert seen["half of them ended"][0] == seen["half of them ended"][1] > 0, said
    assert seen["drained"] == (0, 0), said
    assert early.returncode == 75 and "not drained" in early.stderr, early
    assert waiting.returncode == 0 and f"web/{victim}: drained" in out, (out, err)
    assert quiet <= waited < ended + quiet + 8, waited
    assert not judge(connections).broken, judge(connections).examples()
