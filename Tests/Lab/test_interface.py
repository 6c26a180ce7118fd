# SPDX-License-Identifier: Apache-2.0
"""Changes of the balancer's interface: renamed, down, deleted and created again, other addresses, other MTU."""

import json
import signal
import time

import starting
from balancing import HERE, PYTHON, Balancer, lost
from configured import Configured, settings
from lab import BIN, ROOT, VIP4, risen, run
from scheduling import paired
from sizes import size

RATE = size("RATE", 10_000)
OTHER_MAC = "02:00:00:00:aa:02"


def link(lab, name="eth0"):
    """The interface as the kernel reports it; `None` if there is none."""
    done = lab.on("balancer", "ip", "-j", "link", "show", name, check=False)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def program(lab, name="eth0"):
    """The number of the XDP program on the interface; `None` where there is none."""
    return (link(lab, name) or {}).get("xdp", {}).get("prog", {}).get("id")


def until(condition, what, seconds=10.0):
    """Waits for a condition; how many seconds that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - started


def attachments(lab):
    """How often the daemon has attached the program."""
    return (lab.run_directory / "sluiced.log").read_text().count("notice: attached ")


def alarms(lab):
    return {alarm["code"]: alarm for alarm in lab.status()["alarms"]}


def longest_gap(sent, received):
    """The longest time in seconds in which no probe arrived."""
    seen = sorted({number for answer in received.values() for number in answer["seen"]})
    edges = [-1, *seen, sent["sent"]]
    return max(after - before - 1 for before, after in zip(edges, edges[1:])) / RATE


def report(what, sent, received):
    gone, gap = lost(sent, received), longest_gap(sent, received)
    print(f"  {what}: {sent['sent']} probes, lost {gone}, longest gap {gap:.3f} s")
    return gone, gap


def give_routes_back(lab):
    """Restores what the kernel removes when a link goes down, as the distribution's network service does."""
    lab.on("balancer", "ip", "route", "replace", "default", "via", "10.0.2.1")
    lab.on("balancer", "ip", "address", "replace", "fd00:0:0:2::2/64", "dev", "eth0", "nodad")
    lab.on("balancer", "ip", "-6", "route", "replace", "default", "via", "fd00:0:0:2::1")


def make_leg(lab, mtu=1600):
    """The balancer's leg, as scripts/lab makes it."""
    run(["bash", "-c", f"""set -euo pipefail
        source {ROOT}/scripts/lib/topology.sh
        topology_add_leg {lab.name} balancer {mtu}
        topology_inside {lab.name} router ip route replace 10.100.0.0/24 via 10.0.2.2
        topology_inside {lab.name} router ip route replace fd00:100::/64 via fd00:0:0:2::2"""])


def let_router_pass(lab):
    """XDP_TX on veth needs a native program at the other end; the last one went with its interface."""
    pin = lab.pins / "pass-balancer"
    pin.unlink(missing_ok=True)
    lab.on("router", BIN / "sluice-backend", "attach-pass", "--interface", "balancer", "--pin", pin)


@paired
def test_a_renamed_interface_is_followed_and_a_start_under_the_old_name_refused():
    with Balancer() as lab:
        before = program(lab)

        def renames():
            for number in range(25):
                lab.on("balancer", "ip", "link", "set", "eth0", "name", "uplink")
                if number == 0:
                    until(lambda: "interface-renamed" in alarms(lab), "the alarm")
                    told = lab.status()["interface"]
                    assert (told["name"], told["renamed_to"], told["mode"]) == ("eth0", "uplink", "native"), told
                    assert "which is called uplink now" in lab.sluice("status").stdout
                    lab.sluice("backend", "set", "web/b1", "--weight", 50)
                lab.on("balancer", "ip", "link", "set", "uplink", "name", "eth0")
            lab.on("balancer", "ip", "link", "set", "eth0", "name", "uplink")
            lab.kill_daemon()
            done = lab.on("balancer", BIN / "sluiced", "--config", lab.configuration, check=False, timeout=15)
            assert done.returncode == 70, done
            assert "eth0 does not exist" in done.stderr and "which is uplink now" in done.stderr, done.stderr
            lab.on("balancer", "ip", "link", "set", "uplink", "name", "eth0")
            lab.start_daemon()
            assert not alarms(lab), alarms(lab)

        sent, received = lab.probe(8, renames, RATE)
        gone, _ = report("51 renames, a refused start, a restart", sent, received)
        assert gone == 0 and program(lab) != before, "the restarted daemon brings a program of its own"


@paired
def test_down_and_up_recovers():
    with Balancer() as lab:
        before = program(lab)
        for count, pause in ((1, 0.5), (5, 0.1)):
            def flaps():
                time.sleep(0.5)
                for _ in range(count):
                    lab.on("balancer", "ip", "link", "set", "eth0", "down")
                    time.sleep(pause)
                    lab.on("balancer", "ip", "link", "set", "eth0", "up")
                    time.sleep(pause)
                give_routes_back(lab)

            sent, received = lab.probe(5, flaps, RATE)
            _, gap = report(f"{count} x down for {pause} s and up", sent, received)
            assert gap < count * 2 * pause + 2.5, gap
            assert max(number for answer in received.values() for number in answer["seen"]) > sent["sent"] - RATE
        assert program(lab) == before, "the link did not stay"
        until(lambda: not alarms(lab), "no alarm is left")
        assert lab.requests(50, 8)["failed"] == 0


def test_down_raises_an_alarm_and_changes_do_not_wait():
    with Balancer() as lab:
        lab.on("balancer", "ip", "link", "set", "eth0", "down")
        until(lambda: "interface-down" in alarms(lab), "the alarm")
        lab.sluice("backend", "drain", "web/b1")
        lab.on("balancer", "ip", "link", "set", "eth0", "up")
        give_routes_back(lab)
        until(lambda: not alarms(lab), "no alarm is left")
        # The router asks for the balancer anew.
        until(lambda: lab.requests(1, 1)["failed"] == 0, "requests")
        result = lab.requests(100, 8)
        assert result["failed"] == 0 and "b1" not in result["by"], result


@paired
def test_deleted_and_made_again_is_attached_again_by_itself():
    with Balancer() as lab:
        before, digest, times = program(lab), lab.digest(), {}

        def again():
            time.sleep(0.5)
            lab.on("balancer", "ip", "link", "delete", "eth0")
            times["alarm"] = until(lambda: "interface-missing" in alarms(lab), "the alarm")
            assert "mode" not in lab.status()["interface"], lab.status()["interface"]
            lab.sluice("backend", "set", "web/b1", "--weight", 90)
            make_leg(lab)
            times["attached"] = until(lambda: program(lab), "the program")
            let_router_pass(lab)

        sent, received = lab.probe(7, again, RATE)
        report(f"deleted and made again, alarm after {times['alarm']:.2f} s, attached {times['attached']:.2f} s after"
               " it was there", sent, received)
        assert times["attached"] < 2 and program(lab) == before, (times, program(lab), before)
        assert max(number for answer in received.values() for number in answer["seen"]) > sent["sent"] - RATE
        assert lab.digest() != digest, "a change made meanwhile is in force"
        until(lambda: not alarms(lab), "no alarm is left")
        assert lab.requests(100, 8)["failed"] == 0
        # The pin leads to the new link: a restart takes it over.
        lab.kill_daemon()
        lab.start_daemon()
        assert "kept" in lab.status()["interface"]["mode_reason"], lab.status()["interface"]


@paired
def test_a_start_beside_a_dead_link_attaches_anew():
    with Balancer() as lab:
        lab.kill_daemon()
        lab.on("balancer", "ip", "link", "delete", "eth0")
        assert (lab.pins / "sluiced/link").exists(), "the pin of the dead link is there"
        make_leg(lab)
        let_router_pass(lab)
        lab.start_daemon()
        assert program(lab) and not alarms(lab), (program(lab), alarms(lab))
        sent, received = lab.probe(2, lambda: None, RATE)
        gone, _ = report("started beside a dead link", sent, received)
        assert gone == 0 and lab.requests(100, 8)["failed"] == 0


def test_a_detached_link_is_attached_again():
    with Balancer() as lab:
        times = attachments(lab)
        run(["bpftool", "link", "detach", "pinned", lab.pins / "sluiced/link"])
        seconds = until(lambda: attachments(lab) > times and program(lab), "the program", 15)
        print(f"  detached by somebody else, which no event tells: attached again after {seconds:.1f} s")
        assert lab.requests(100, 8)["failed"] == 0


@paired
def test_the_balancers_address_changes():
    with Balancer() as lab:
        def change():
            time.sleep(0.5)
            lab.on("balancer", "ip", "link", "set", "eth0", "address", OTHER_MAC)
            # Until the router knows, it sends to the old address, which is nobody's.
            lab.on("router", "ip", "neigh", "replace", "10.0.2.2", "lladdr", OTHER_MAC, "dev", "balancer")

        sent, received = lab.probe(3, change, RATE)
        gone, gap = report("balancer's MAC changed, the router told", sent, received)
        assert lab.status()["interface"]["mac"] == OTHER_MAC
        assert gap < 0.5, gap


@paired
def test_a_next_hop_that_changes_its_address_silently_is_found_out():
    # A router of its own for the way out: on the way in nothing is asked that would tell the balancer.
    wanted = settings(["b1", "b2", "b3"])
    wanted["interfaces"][0]["next_hop"] = "10.0.2.9"
    with Configured(wanted) as lab:
        lab.on("router", "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.default.rp_filter=0")
        for number in (1, 2):
            lab.on(
                "router", "ip", "link", "add", f"out{number}", "link", "balancer", "address",
                f"02:00:00:00:bb:0{number}", "type", "macvlan", "mode", "private")
        lab.on("router", "ip", "address", "add", "10.0.2.9/32", "dev", "out1")
        lab.on("router", "ip", "link", "set", "out1", "up")
        # In the proportion of the kernel's own times, which are 15 to 45 s until it asks again, 5 s and 3 x 1 s.
        lab.on(
            "balancer", "sysctl", "-qw", "net.ipv4.neigh.eth0.base_reachable_time_ms=1000",
            "net.ipv4.neigh.eth0.delay_first_probe_time=1", "net.ipv4.neigh.eth0.retrans_time_ms=100")
        lab.on("balancer", "ip", "neigh", "flush", "dev", "eth0")
        rows = lambda: lab.rows().values()
        until(lambda: all(row.get("mac") == "02:00:00:00:bb:01" for row in rows()), "the first address")

        def change():
            time.sleep(1)
            lab.on("router", "ip", "link", "delete", "out1")
            lab.on("router", "ip", "link", "set", "out2", "up")
            lab.on("router", "ip", "address", "add", "10.0.2.9/32", "dev", "out2")

        sent, received = lab.probe(9, change, RATE)
        _, gap = report("router's MAC changed without a word (1.5 s sure, 1 s grace, 3 x 0.1 s asked)", sent, received)
        assert all(row["mac"] == "02:00:00:00:bb:02" for row in rows()), list(rows())
        assert 0.1 < gap < 1.5 + 1 + 0.3 + 1, gap


@paired
def test_a_configured_next_hop_needs_no_route_to_the_backends():
    hosts = ["b1", "b2", "b3"]
    check = {"type": "tcp", "port": 80, "vips": [VIP4], "interval": "200ms", "timeout": "1s"}
    wanted = settings(hosts, pool={"check": check}, ports=[80])
    with Configured(wanted) as lab:
        router, mtu = lab.rows()["b1"]["mac"], link(lab)["mtu"]
        for number, next_hop in enumerate(("10.0.2.1", router)):
            wanted = lab.settings
            wanted["interfaces"][0]["next_hop"] = next_hop
            lab.kill_daemon(signal.SIGTERM)
            lab.on("balancer", BIN / "sluiced", "--detach", "--config", lab.configuration)
            lab.configuration.write_text(json.dumps(wanted))
            # Probes to a link-layer address go by a neighbour that has it.
            lab.on("balancer", "ip", "neigh", "replace", "10.0.2.1", "lladdr", router, "nud", "permanent", "dev", "eth0")
            lab.on("balancer", "ip", "route", "del", "default", check=number == 0)
            lab.on(
                "balancer", "ip", "route", "replace", "10.0.2.0/24", "dev", "eth0", "proto", "kernel", "scope", "link",
                "src", "10.0.2.2", "mtu", mtu - 20)
            assert "unreachable" in lab.on("balancer", "ip", "route", "get", "10.0.11.2", check=False).stderr
            lab.start_daemon()
            rows = lambda: lab.rows().values()
            until(lambda: [row["health"] for row in rows()] == ["up"] * 3, f"probes pass, next hop {next_hop}")
            for row in rows():
                wide = mtu - (20 if next_hop == "10.0.2.1" else 0)
                assert (row["mac"], row["mtu"], row.get("trouble")) == (router, wide, None), row
            answers = lab.requests(20, 4)
            assert answers["ok"] == 20, answers
            examined = json.loads(lab.sluice("check", "run", "web/b1", "-o", "json").stdout)
            assert examined["passed"], examined


@paired
def test_a_next_hop_that_announces_its_new_address_is_followed_at_once():
    with Balancer() as lab:
        def change():
            time.sleep(0.5)
            lab.on("router", "ip", "link", "set", "balancer", "address", OTHER_MAC)
            lab.on("router", "ip", "neigh", "flush", "dev", "balancer")

        sent, received = lab.probe(4, change, RATE)
        _, gap = report("router's MAC changed, which it asks the balancer with", sent, received)
        assert gap < 1.5, gap


def big_datagrams(lab, count=10):
    """Sends datagrams of 1500 octets; returns their number by verdict."""
    before = lab.verdict_counts()
    lab.on("client", PYTHON, "-c", f"""
import socket, time
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_MTU_DISCOVER: DF always, whatever the path is believed to take
for _ in range({count}):
    probe.sendto(bytes(1472), ("{VIP4}", 9000))
    time.sleep(0.01)
""")
    time.sleep(0.1)
    return risen(before, lab.verdict_counts())


def test_a_changed_mtu_is_followed():
    with Balancer() as lab:
        for mtu, verdict in ((1600, "forwarded"), (1500, "answered_too_big"), (1520, "forwarded"),
                             (1519, "answered_too_big"), (1600, "forwarded")):
            lab.on("balancer", "ip", "link", "set", "eth0", "mtu", mtu)
            rows = lambda: lab.api("GET", "/v1/pools/web/backends")[1]
            seconds = until(lambda: all(row["mtu"] == mtu for row in rows()), "the MTU")
            became = big_datagrams(lab)
            print(f"  MTU {mtu}, known after {seconds:.2f} s: 10 packets of 1500 octets, +20: {became}")
            wanted = {"forwarded": 0, "answered_too_big": 0} | {verdict: 10}
            assert {name: became.get(name, 0) for name in wanted} == wanted, (mtu, became)


def test_an_mtu_that_native_xdp_cannot_have():
    with Balancer() as lab:
        # The router's end decides how long a frame may come in.
        done = lab.on("router", "ip", "link", "set", "balancer", "mtu", 3600, check=False)
        print(f"  raised under the program: {done.stderr.strip()}")
        assert done.returncode != 0 and lab.requests(50, 8)["failed"] == 0

        lab.edit_configuration("mode: auto", "mode: native")
        lab.kill_daemon()
        lab.start_daemon()
        lab.on("balancer", "ip", "link", "delete", "eth0")
        make_leg(lab, mtu=9000)
        until(lambda: "not-attached" in alarms(lab), "the alarm")
        print(f"  made again with MTU 9000: {alarms(lab)['not-attached']['message']}")
        assert "MTU" in alarms(lab)["not-attached"]["message"] and program(lab) is None
        assert "not attached, nothing is forwarded" in lab.sluice("status").stdout
        for host, name in (("router", "balancer"), ("balancer", "eth0")):
            lab.on(host, "ip", "link", "set", name, "mtu", 1600)
        seconds = until(lambda: program(lab), "the program")
        let_router_pass(lab)
        until(lambda: not alarms(lab), "no alarm is left")
        print(f"  lowered to 1600: attached after {seconds:.2f} s")
        until(lambda: lab.requests(1, 1)["failed"] == 0, "requests")
        assert lab.requests(50, 8)["failed"] == 0


def test_auto_takes_the_generic_mode_where_native_xdp_cannot_be():
    with Balancer() as lab:
        lab.on("balancer", "ip", "link", "delete", "eth0")
        make_leg(lab, mtu=9000)
        until(lambda: program(lab), "the program")
        told = lab.status()["interface"]
        print(f"  made again with MTU 9000: {told['mode']}, {told['mode_reason']}")
        assert told["mode"] == "generic" and "ERANGE" in told["mode_reason"], told
        until(lambda: lab.requests(1, 1)["failed"] == 0, "requests")
        assert lab.requests(50, 8)["failed"] == 0


@paired
def test_a_native_mode_that_is_refused_at_a_start_leaves_the_generic_one_forwarding():
    with Balancer() as lab:
        lab.on("balancer", "ip", "link", "delete", "eth0")
        make_leg(lab, mtu=9000)
        until(lambda: program(lab), "the program")
        until(lambda: lab.requests(1, 1)["failed"] == 0, "requests")
        lab.edit_configuration("mode: auto", "mode: native")

        def refused():
            time.sleep(0.5)
            lab.kill_daemon()
            code, said = starting.attempt(lab), starting.log(lab).splitlines()[-1]
            assert code == 70 and "ERANGE" in said, (code, said)

        sent, received = lab.probe(6, refused, RATE)
        _, gap = report("a start whose mode is refused", sent, received)
        assert max(number for answer in received.values() for number in answer["seen"]) > sent["sent"] - RATE
        assert gap < 1, gap
        assert link(lab)["xdp"]["mode"] == 2, link(lab)["xdp"]
        assert lab.requests(50, 8)["failed"] == 0
        # What forwards is pinned, and the next start takes it over.
        lab.edit_configuration("mode: native", "mode: auto")
        lab.start_daemon()
        told = lab.status()["interface"]
        assert told["mode"] == "generic" and "kept" in told["mode_reason"] and not told["full_speed"], told
        assert lab.requests(50, 8)["failed"] == 0


@paired
def test_auto_comes_back_to_native_mode_at_a_start_and_when_the_interface_changes():
    with Balancer() as lab:
        lab.edit_configuration("mode: auto", "mode: generic")
        lab.kill_daemon()
        lab.start_daemon()
        told = lab.status()["interface"]
        assert (told["mode"], told["full_speed"]) == ("generic", False), told
        screen = lab.sluice("status").stdout
        assert "SLOW: generic mode" in screen and "full speed" not in screen, screen

        lab.edit_configuration("mode: generic", "mode: auto")

        def restart():
            time.sleep(0.5)
            lab.kill_daemon()
            lab.start_daemon()

        sent, received = lab.probe(4, restart, RATE)
        gone, gap = report("a start that finds generic mode and takes native", sent, received)
        told = lab.status()["interface"]
        assert (told["mode"], told["full_speed"]) == ("native", True), told
        assert gap < 0.5 and lab.requests(50, 8)["failed"] == 0, gap

        # Too large for a native program, and small enough again.
        lab.on("balancer", "ip", "link", "delete", "eth0")
        make_leg(lab, mtu=9000)
        until(lambda: lab.status()["interface"].get("mode") == "generic", "generic mode")
        until(lambda: lab.requests(1, 1)["failed"] == 0, "requests")
        sent, received = lab.probe(4, lambda: (time.sleep(0.5), lab.kill_daemon(), lab.start_daemon()), RATE)
        gone, _ = report("a start that finds generic mode, after native mode was refused", sent, received)
        assert gone == 0 and "native mode was refused" in lab.status()["interface"]["mode_reason"], gone
        for host, name in (("router", "balancer"), ("balancer", "eth0")):
            lab.on(host, "ip", "link", "set", name, "mtu", 1600)
        until(lambda: lab.status()["interface"].get("mode") == "native", "native mode")
        let_router_pass(lab)
        until(lambda: lab.requests(1, 1)["failed"] == 0, "requests")
        assert lab.requests(50, 8)["failed"] == 0


def test_an_interface_without_ethernet_is_refused_and_an_alarm():
    with Balancer() as lab:
        lab.on("balancer", "ip", "tuntap", "add", "tun0", "mode", "tun")
        lab.kill_daemon()
        for name in ("lo", "tun0"):
            text = lab.configuration.read_text()
            lab.edit_configuration("name: eth0", f"name: {name}")
            code, said = starting.attempt(lab), starting.log(lab).splitlines()[-1]
            lab.configuration.write_text(text)
            assert code == 70 and f"interface {name} is no Ethernet interface" in said, (code, said)
        assert lab.requests(20, 4)["failed"] == 0, "what was installed forwards on"
        lab.start_daemon()
        # Another one takes its name.
        lab.on("balancer", "ip", "link", "delete", "eth0")
        until(lambda: "interface-missing" in alarms(lab), "the alarm")
        lab.on("balancer", "ip", "tuntap", "add", "eth0", "mode", "tun")
        lab.on("balancer", "ip", "link", "set", "eth0", "up")
        until(lambda: "not-ethernet" in alarms(lab), "the alarm")
        assert "nothing is forwarded" in alarms(lab)["not-ethernet"]["message"]


def test_a_start_without_bpffs_says_how_to_mount_it():
    with Balancer() as lab:
        lab.kill_daemon()
        done = lab.on(
            "balancer", "unshare", "--mount", "bash", "-c",
            f"umount -l /sys/fs/bpf && exec {BIN}/sluiced --config {lab.configuration}", check=False, timeout=15)
        assert done.returncode == 70 and "mount -t bpf bpf /sys/fs/bpf" in done.stderr, done
        assert "nsenter --net" in done.stderr and "cannot make" not in done.stderr, done
        lab.start_daemon()
