# SPDX-License-Identifier: Apache-2.0
"""What a packet from elsewhere can write into the balancer's kernel does not move or narrow the path to a backend."""

import json
import os
import socket
import time

from scapy.all import (
    ARP, ICMP, Ether, ICMPv6EchoReply, ICMPv6ND_RA, ICMPv6NDOptMTU, ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig, IP, IPv6,
    Raw)

from balancing import CROSS4, Balancer
from lab import VIP4, VIP6
from results import report
from test_interface import until

MEGABYTE = 1 << 20
BALANCER4, BALANCER6 = "10.0.2.2", "fd00:0:0:2::2"
BACKEND4, BACKEND6 = "10.0.11.2", "fd00:0:0:11::2"
OTHER_GATEWAY4, OTHER_GATEWAY6 = "10.0.2.77", "fe80::77"

# Sends an ICMP message from the router's end of the balancer's link; the kernel writes the IP header.
SEND_RAW = """
import socket, sys
family, protocol, source, destination, message = sys.argv[1:]
raw = socket.socket(getattr(socket, family), socket.SOCK_RAW, int(protocol))
scope = socket.if_nametoindex("balancer")
if family == "AF_INET6":
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    raw.bind((source, 0, 0, scope))
    raw.sendto(bytes.fromhex(message), (destination, 0, 0, scope))
else:
    raw.sendto(bytes.fromhex(message), (destination, 0))
"""


def send_raw(lab, family, protocol, source, destination, message):
    lab.on("router", "/usr/bin/python3", "-c", SEND_RAW, family, protocol, source, destination, message.hex())


SEND_FRAME = """
import socket, sys
port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
port.bind(("balancer", 0))
port.send(bytes.fromhex(sys.argv[1]))
"""


def send_frame(lab, frame):
    """Sends an Ethernet frame to the balancer's link, as any host on that link can."""
    lab.on("router", "/usr/bin/python3", "-c", SEND_FRAME, bytes(frame).hex())


def mac(lab, host, interface):
    return json.loads(lab.on(host, "ip", "-j", "link", "show", interface).stdout)[0]["address"]


def path(lab, pool="web", name="b1"):
    """Next hop and MTU that packets to a backend use."""
    rows = lab.api("GET", f"/v1/pools/{pool}/backends")[1]
    row = next(row for row in rows if row["name"] == name)
    return row["via"], row["mtu"]


def let_the_daemon_look(lab):
    """Changes a route that concerns no backend, so that the daemon reads all routes again."""
    lab.on("balancer", "ip", "route", "replace", "198.51.100.0/24", "dev", "eth0")
    lab.on("balancer", "ip", "route", "del", "198.51.100.0/24", "dev", "eth0")
    time.sleep(0.3)


def alarms(lab):
    return {alarm["code"]: alarm for alarm in lab.status()["alarms"]}


def kernel_route(lab, address):
    return lab.on("balancer", "ip", "route", "get", address).stdout


def upload(lab, vip):
    host = f"[{vip}]" if ":" in vip else vip
    body = lab.run_directory / "body"
    body.write_bytes(os.urandom(3 * MEGABYTE))
    answer = lab.on(
        "client", "curl", "-sS", "--fail", "--max-time", "20", "-T", body, f"http://{host}/upload", check=False).stdout
    return answer.endswith(f"received {3 * MEGABYTE}\n")


def test_forged_too_big_does_not_narrow_the_path_to_a_backend():
    with Balancer() as lab:
        before = path(lab), path(lab, "web6")
        for host, address4, address6 in [(f"b{n}", f"10.0.1{n}.2", f"fd00:0:0:1{n}::2") for n in (1, 2, 3)]:
            echo4 = IP(src=BALANCER4, dst=address4) / ICMP(type=0, id=7) / Raw(bytes(8))
            too_big4 = IP(src="10.0.1.2", dst=BALANCER4) / ICMP(type=3, code=4, nexthopmtu=552) / echo4
            echo6 = IPv6(src=BALANCER6, dst=address6) / ICMPv6EchoReply(id=7, data=bytes(1200))
            too_big6 = IPv6(src="fd00:0:0:1::2", dst=BALANCER6) / ICMPv6PacketTooBig(mtu=1280) / echo6
            lab.exchange("client", [too_big4, too_big6])
        learned = [kernel_route(lab, address) for address in (BACKEND4, BACKEND6)]
        let_the_daemon_look(lab)
        after = path(lab), path(lab, "web6")
        uploads = {vip: upload(lab, vip) for vip in (VIP4, VIP6, CROSS4)}
        found = alarms(lab)
    report("forged fragmentation needed (552) and too big (1280) for each backend",
           f"paths {before} then {after}, uploads of 3 MB whole: {uploads}", "unchanged, all whole")
    assert "mtu 552" in learned[0] and "mtu 1280" in learned[1], f"the kernel learned nothing: {learned}"
    assert before == after, (before, after)
    assert all(uploads.values()), uploads
    assert "low-mtu" not in found, found


def test_a_forged_redirect_does_not_move_a_next_hop():
    with Balancer() as lab:
        # A host that answers ARP and neighbour discovery and forwards nothing useful; the gateway is link-local, since
        # a redirect must come from the gateway itself.
        links = json.loads(lab.on("router", "ip", "-j", "-6", "address", "show", "dev", "balancer").stdout)
        router6 = next(
            each["local"] for link in links for each in link.get("addr_info", []) if each["scope"] == "link")
        for address in (f"{OTHER_GATEWAY4}/24", f"{OTHER_GATEWAY6}/64"):
            lab.on("router", "ip", "address", "add", address, "dev", "balancer", *(["nodad"] if ":" in address else []))
        lab.on("balancer", "ip", "-6", "route", "replace", "default", "via", router6, "dev", "eth0")
        lab.on("balancer", "ping", "-c1", "-W1", OTHER_GATEWAY4)
        lab.on("balancer", "ping", "-c1", "-W1", f"{OTHER_GATEWAY6}%eth0")
        until(lambda: path(lab, "web6")[0] == router6, "the new gateway")
        before = path(lab), path(lab, "web6")
        quoted4 = bytes(IP(src=BALANCER4, dst=BACKEND4) / ICMP(type=0, id=7) / Raw(bytes(8)))
        redirect4 = bytes(ICMP(type=5, code=1, gw=OTHER_GATEWAY4) / Raw(quoted4))
        addresses = b"".join(socket.inet_pton(socket.AF_INET6, each) for each in (OTHER_GATEWAY6, BACKEND6))
        # Type 137; the kernel computes the checksum of ICMPv6.
        redirect6 = bytes([137, 0, 0, 0, 0, 0, 0, 0]) + addresses
        for _ in range(3):
            send_raw(lab, "AF_INET", 1, "10.0.2.1", BALANCER4, redirect4)
            send_raw(lab, "AF_INET6", 58, router6, BALANCER6, redirect6)
            time.sleep(0.1)
        learned = [kernel_route(lab, address) for address in (BACKEND4, BACKEND6)]
        let_the_daemon_look(lab)
        after = path(lab), path(lab, "web6")
        works = lab.requests(20, 4)
    report("forged redirects for one backend", f"paths {before} then {after}, {works['failed']} requests failed",
           "unchanged, 0")
    assert OTHER_GATEWAY4 in learned[0] and OTHER_GATEWAY6 in learned[1], f"the kernel followed nothing: {learned}"
    assert before == after, (before, after)
    assert works["failed"] == 0, works


def test_a_router_advertisement_does_not_replace_a_configured_route():
    with Balancer() as lab:
        lab.on("balancer", "sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=1")
        rogue, rogue_mac = "fe80::66", "02:00:00:00:66:66"
        before = path(lab, "web6")
        advertisement = (
            Ether(src=rogue_mac, dst="33:33:00:00:00:01") / IPv6(src=rogue, dst="ff02::1", hlim=255)
            / ICMPv6ND_RA(prf=1, routerlifetime=600, chlim=3) / ICMPv6NDOptMTU(mtu=1280)
            / ICMPv6NDOptSrcLLAddr(lladdr=rogue_mac))
        send_frame(lab, advertisement)
        until(lambda: "proto ra" in lab.on("balancer", "ip", "-6", "route", "show", "default").stdout, "the advertised route")
        until(lambda: rogue in kernel_route(lab, BACKEND6), "the kernel's preference for it")
        let_the_daemon_look(lab)
        after, works = path(lab, "web6"), lab.requests(20, 4, vip=CROSS4)
        quiet = "advertised-route" not in alarms(lab)
        lab.on("balancer", "ip", "-6", "route", "del", "default", "via", "fd00:0:0:2::1")
        until(lambda: "advertised-route" in alarms(lab), "the alarm")
        alone, alarm = path(lab, "web6"), alarms(lab)["advertised-route"]["message"]
    report("a router advertisement of high preference, MTU 1280 and hop limit 3",
           f"path {before} then {after}, {works['failed']} requests failed; alone: {alone}, {alarm}",
           "unchanged, 0; used with an alarm where it is the only route")
    assert before == after and quiet and works["failed"] == 0, (before, after, works)
    assert alone[0] == rogue and "web6/b1" in alarm, (alone, alarm)


def test_a_forged_neighbour_announcement_is_reported_and_does_not_move_a_pinned_next_hop():
    forged = "02:00:00:00:66:66"

    def announce(lab):
        send_frame(lab, Ether(src=forged, dst="ff:ff:ff:ff:ff:ff") / ARP(
            op=2, hwsrc=forged, psrc="10.0.2.1", hwdst="ff:ff:ff:ff:ff:ff", pdst="10.0.2.1"))

    def next_hop(lab):
        rows = lab.api("GET", "/v1/pools/web/backends")[1]
        return {row["mac"] for row in rows}

    with Balancer() as lab:
        router = mac(lab, "router", "balancer")
        lab.on("balancer", "ip", "neigh", "replace", "10.0.2.1", "lladdr", router, "nud", "permanent", "dev", "eth0")
        until(lambda: next_hop(lab) == {router}, "the pinned next hop")
        announce(lab)
        let_the_daemon_look(lab)
        pinned, works = next_hop(lab), lab.requests(20, 4)
        lab.on("balancer", "ip", "neigh", "replace", "10.0.2.1", "lladdr", router, "nud", "reachable", "dev", "eth0")
        # The kernel ignores a change within a second of the last one.
        time.sleep(1.2)
        announce(lab)
        until(lambda: next_hop(lab) == {forged}, "the announced address")
        log = (lab.run_directory / "sluiced.log").read_text()
    told = [line for line in log.splitlines() if "another link-layer address" in line]
    report("a forged announcement of the gateway, with the entry pinned and not", f"{pinned}, then: {told}",
           "not followed when pinned; a warning when followed")
    assert pinned == {router} and works["failed"] == 0, (pinned, works)
    assert len(told) == 1 and forged in told[0], log[-2000:]


def test_a_path_too_narrow_for_clients_is_an_alarm():
    with Balancer() as lab:
        assert "low-mtu" not in alarms(lab), alarms(lab)
        lab.on("balancer", "ip", "route", "add", f"{BACKEND4}/32", "via", "10.0.2.1", "mtu", "lock", "1290")
        until(lambda: "low-mtu" in alarms(lab), "the alarm for IPv6 clients")
        six = alarms(lab)["low-mtu"]["message"]
        lab.on("balancer", "ip", "route", "change", f"{BACKEND4}/32", "via", "10.0.2.1", "mtu", "lock", "560")
        until(lambda: "540" in alarms(lab)["low-mtu"]["message"], "the alarm for all clients")
        four = alarms(lab)["low-mtu"]["message"]
        lab.on("balancer", "ip", "route", "del", f"{BACKEND4}/32")
        until(lambda: "low-mtu" not in alarms(lab), "the end of the alarm")
    report("routes of MTU 1290 and 560 to a backend", f"{six} | {four}", "an alarm that names backend and size")
    assert "1270" in six and "b1" in six and "IPv6" in six, six
    assert "b1" in four and "IPv4" in four, four
