# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the balancer's own host does not count as the death of backends."""

import signal
import time

import backend_faults
from checked import Checked, check, checked_settings
from lab import VIP4, VIP6
from results import report
from scheduling import alone
from servers import VIPS
from sizes import size
from test_interface import alarms, give_routes_back, until
from test_privileges import LOADING
from traffic import Traffic, judge

HOSTS = ["b1", "b2", "b3"]


def on(lab, *command, **options):
    return lab.on("balancer", *command, **options)


class Fault:
    """A fault to plant on the balancer's host and to remove again.

    can_leave: whether probes still reach backends. cause: words of the alarm, where they do not. forwards: whether
    clients' packets still reach backends.
    """

    def __init__(self, name, begin, end, can_leave=True, cause="", forwards=True):
        self.name, self.begin, self.end, self.can_leave, self.cause = name, begin, end, can_leave, cause
        self.forwards = forwards


def default_routes_go(lab):
    on(lab, "ip", "route", "del", "default")
    on(lab, "ip", "-6", "route", "del", "default")


def default_routes_come(lab):
    on(lab, "ip", "route", "add", "default", "via", "10.0.2.1")
    on(lab, "ip", "-6", "route", "add", "default", "via", "fd00:0:0:2::1")


def interface_down(lab):
    on(lab, "ip", "link", "set", "eth0", "down")


def interface_up(lab):
    on(lab, "ip", "link", "set", "eth0", "up")
    give_routes_back(lab)


def blackholes(lab, verb):
    for vip in (VIP4, VIP6):
        on(lab, "ip", "route", verb, "blackhole", vip)


def unreachables(lab, verb):
    for kind, vip in (("unreachable", VIP4), ("prohibit", VIP6)):
        on(lab, "ip", "route", verb, kind, vip)


def vips_on_lo(lab, verb):
    on(lab, "ip", "address", verb, f"{VIP4}/32", "dev", "lo")
    on(lab, "ip", "address", verb, f"{VIP6}/128", "dev", "lo", *(["nodad"] if verb == "add" else []))


def management_begins(lab):
    """The default route leaves by a management interface, and replies are filtered strictly."""
    on(lab, "ip", "link", "add", "mgmt", "type", "veth", "peer", "name", "mgmt-peer")
    for name in ("mgmt", "mgmt-peer"):
        on(lab, "ip", "link", "set", name, "up")
    on(lab, "ip", "address", "add", "192.0.2.2/24", "dev", "mgmt")
    for number in (1, 2, 3):
        on(lab, "ip", "route", "add", f"10.0.1{number}.0/24", "via", "10.0.2.1")
    on(lab, "ip", "route", "replace", "default", "via", "192.0.2.1", "dev", "mgmt")
    on(lab, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.eth0.rp_filter=1")


def management_ends(lab):
    on(lab, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0")
    on(lab, "ip", "route", "replace", "default", "via", "10.0.2.1", "dev", "eth0")
    for number in (1, 2, 3):
        on(lab, "ip", "route", "del", f"10.0.1{number}.0/24")
    on(lab, "ip", "link", "del", "mgmt")


def global_address(lab, verb):
    on(lab, "ip", "address", verb, "fd00:0:0:2::2/64", "dev", "eth0", *(["nodad"] if verb == "add" else []))
    if verb == "add":
        on(lab, "ip", "-6", "route", "replace", "default", "via", "fd00:0:0:2::1")


def firewall(lab, verb):
    """What this host sends to the services' ports is dropped before it leaves."""
    if verb == "del":
        on(lab, "nft", "delete", "table", "inet", "lab")
        return
    on(lab, "nft", "-f", "-", input="""
        table inet lab {
          chain out { type filter hook output priority 0; tcp dport { 7000, 7001 } drop; }
        }""")


FAULTS = [
    Fault("the default routes are gone", default_routes_go, default_routes_come),
    Fault("the interface is down", interface_down, interface_up, False, "eth0", False),
    Fault("blackhole routes for the VIPs", lambda lab: blackholes(lab, "add"), lambda lab: blackholes(lab, "del")),
    Fault("refusing routes for the VIPs", lambda lab: unreachables(lab, "add"), lambda lab: unreachables(lab, "del")),
    Fault("the VIPs are on lo", lambda lab: vips_on_lo(lab, "add"), lambda lab: vips_on_lo(lab, "del")),
    Fault("the default route is another interface's, rp_filter is strict", management_begins, management_ends),
    Fault("IPv6 has only a link-local address", lambda lab: global_address(lab, "del"),
          lambda lab: global_address(lab, "add"), False, "IPv6"),
    Fault("a filter drops what leaves", lambda lab: firewall(lab, "add"), lambda lab: firewall(lab, "del"), False,
          "this host"),
]
QUICK = {"interval": "500ms", "timeout": "300ms", "fall": 3}
DEFAULTS = {"interval": "2s", "timeout": "1s", "fall": 3}


def allow(lab, host, sources):
    lab.backend(host, "down")
    lab.backend(host, "up", "--mode", "xdp", "--vip", ",".join(VIPS), "--allow", sources)


def settled(lab):
    """Until all probes pass again."""
    lab.await_checks(lambda rows: all(row["state"] == "up" and not row.get("layer") for row in rows))


def suffer(lab, fault, seconds, traffic=None):
    """Plants a fault for some seconds. Returns the changes of health and the alarms that it brought."""
    before = len(lab.events("health"))
    fault.begin(lab)
    try:
        time.sleep(seconds / 2)
        if traffic:
            traffic.ping_idle()
        time.sleep(seconds / 2)
        raised = lab.status()["alarms"]
        reasons = {row["reason"] for row in lab.checks() if row.get("layer")}
    finally:
        fault.end(lab)
    settled(lab)
    events = [event for event in lab.events("health")[before:] if event["new"] in ("down", "going_up")]
    return events, raised, reasons


@alone
def test_faults_of_the_balancer_break_no_connection():
    question = check("tcp", vips=[VIP4, VIP6], **(DEFAULTS if size("HOST_DEFAULTS", 0) else QUICK))
    seconds, seed = size("HOST_SECONDS", 3.0), size("SEED", 31)
    lines, wrong, outages = [], [], []
    with Checked(checked_settings(HOSTS, question), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4, VIP6], seed, idle=size("HOST_IDLE", 20), rate=size("HOST_RATE", 5))
        lab.await_states(dict.fromkeys(HOSTS, "up"))
        settled(lab)
        for fault in FAULTS:
            began = time.monotonic()
            events, raised, reasons = suffer(lab, fault, seconds, traffic)
            if not fault.forwards:
                outages.append((began, time.monotonic()))
            told = " ".join(alarm["message"] for alarm in raised)
            lines.append(f"{fault.name}: {len(events)} backends down; alarms: {told or 'none'}; probes: {sorted(reasons)}")
            if events or (not fault.can_leave and fault.cause not in told) or (fault.can_leave and reasons):
                wrong.append(lines[-1])
        traffic.ping_idle()
        connections = traffic.stop()
    verdict = judge([
        each for each in connections if each.kind == "idle" or not any(each.meets(outage) for outage in outages)])
    report(f"{len(FAULTS)} faults of the balancer's host for {seconds:.0f} s each, {verdict}",
           f"{len(verdict.broken)} broken, {len(wrong)} faults counted against backends", "0, 0", seed,
           "\n".join(lines))
    assert not wrong, "\n".join(wrong)
    assert not verdict.broken, verdict.examples()


@alone
def test_a_backend_that_dies_during_a_fault_of_the_balancer_is_found():
    question = check("tcp", vips=[VIP4, VIP6], **QUICK)
    with Checked(checked_settings(HOSTS, question), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4, VIP6], size("SEED", 32))
        lab.await_states(dict.fromkeys(HOSTS, "up"))
        found = {}
        for number, fault in enumerate(each for each in FAULTS if each.can_leave):
            victim = HOSTS[number % len(HOSTS)]
            settled(lab)
            fault.begin(lab)
            time.sleep(0.5)
            server = traffic.servers.pop(victim)
            server.kill()
            server.communicate()
            began = time.monotonic()
            found[fault.name] = f"{lab.await_states({victim: 'down'}, seconds=8) - began:.1f} s"
            others = {host: state for host, state in lab.states().items() if host != victim}
            fault.end(lab)
            traffic.serve(victim)
            lab.await_states(dict.fromkeys(HOSTS, "up"))
            assert set(others.values()) == {"up"}, (fault.name, others)
        traffic.stop_client()
        traffic.stop_servers()
    report(f"a server dies during each of {len(found)} faults", found, "found, and the others stay up")


def test_checks_without_raw_sockets_are_an_alarm_and_health_is_given_up():
    with Checked(checked_settings(HOSTS, check("icmp", vips=[VIP4])), len(HOSTS)) as lab:
        lab.await_states(dict.fromkeys(HOSTS, "up"))
        lab.on("b3", "ip", "link", "set", "eth0", "down")
        lab.await_states({"b3": "down"})
        assert "not-checked" not in alarms(lab), alarms(lab)
        lab.kill_daemon(signal.SIGTERM)
        lab.start_daemon(
            "/usr/bin/setpriv", f"--inh-caps={LOADING}", f"--bounding-set={LOADING}", "--ambient-caps=-all")
        first = lab.states()
        until(lambda: "not-checked" in alarms(lab), "the alarm", 6)
        message = alarms(lab)["not-checked"]["message"]
        lab.await_states({"b1": "unchecked", "b2": "unchecked"}, seconds=15)
        last, requests = lab.states(), {name: row["health"] for name, row in lab.rows().items()}
    report("icmp checks and a restart without CAP_NET_RAW", f"{first} then {last}; {message}",
           "up, then unchecked; what was down stays down; an alarm")
    assert first == {"b1": "up", "b2": "up", "b3": "down"}, first
    assert last == {"b1": "unchecked", "b2": "unchecked", "b3": "down"} == requests, (last, requests)
    assert "CAP_NET_RAW" in message and "frozen since" in message, message


def test_a_diagnosis_names_missing_outer_sources_and_filters_of_this_host():
    own = "10.0.2.0/24,fd00:0:0:2::/64"
    with Checked(checked_settings(HOSTS, check("tcp", vips=[VIP4])), len(HOSTS)) as lab:
        traffic = Traffic(lab, HOSTS, [VIP4], size("SEED", 33))
        lab.await_states(dict.fromkeys(HOSTS, "up"))
        allow(lab, "b1", own)
        lab.await_states({"b1": "down"})
        missing = lab.run_check("web", "b1")
        allow(lab, "b2", f"{own},172.16.0.0/17")
        until(lambda: "only a part" in (found := lab.run_check("web", "b2"))["conclusion"] and found["layer"] == "tunnel",
              "the part of the prefix", 60)
        backend_faults.firewall(lab, "b3")
        silent = lab.run_check("web", "b3")
        on(lab, "nft", "-f", "-", input="""
            table inet lab {
              chain out { type filter hook output priority 0; meta l4proto icmp drop; }
            }""")
        echoes = lab.run_check("web", "b3")
        on(lab, "nft", "delete", "table", "inet", "lab")
        firewall(lab, "add")
        filtered = lab.run_check("web", "b3")
        firewall(lab, "del")
        traffic.stop_client()
        traffic.stop_servers()
    reports = {"prefix missing in --allow": missing, "port silent": silent, "echoes refused here": echoes,
               "probe dropped here": filtered}
    report("what a diagnosis names", {name: (each["layer"], each["conclusion"]) for name, each in reports.items()},
           "tunnel, port, local, local", detail=missing["cure"])
    assert missing["layer"] == "tunnel" and "172.16.0.0/16 is missing" in missing["conclusion"], missing
    assert "--allow 172.16.0.0/16" in missing["cure"], missing
    assert silent["layer"] == "port", silent
    assert echoes["layer"] == "local" and "filter of this host" in echoes["conclusion"], echoes
    assert filtered["layer"] == "local" and "left this host" in filtered["conclusion"], filtered
