# SPDX-License-Identifier: Apache-2.0
"""A backend decapsulates packets from its balancers for its VIPs only, and counts each frame."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from scapy.all import (
    GRE, ICMP, IP, TCP, UDP, ICMPv6EchoRequest, IPOption_NOP, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop, Raw)

from balancing import CROSS4, CROSS6
from lab import BIN, VIP4, VIP6, CommandFailed, Lab, risen

CLIENT = {4: "10.0.1.2", 6: "fd00:0:0:1::2"}
BALANCER = {4: "10.0.2.2", 6: "fd00:0:0:2::2"}
BACKEND = {4: "10.0.11.2", 6: "fd00:0:0:11::2"}
VIP = {4: VIP4, 6: VIP6}
OTHER_VIP = {4: "10.100.0.77", 6: "fd00:100::77"}
FAMILIES = [(4, 4), (4, 6), (6, 4), (6, 6)]

ECT1, ECT0, CE = 1, 2, 3


def header(family, **fields):
    """An IP header; `ecn` and `protocol` by one name for both families."""
    ecn, protocol = fields.pop("ecn", 0), fields.pop("protocol", None)
    if family == 4:
        return IP(tos=ecn, **fields, **({} if protocol is None else {"proto": protocol}))
    return IPv6(tc=ecn, **fields, **({} if protocol is None else {"nh": protocol}))


def syn(family, port=80, source_port=40000, vip=None, ecn=0):
    """A client's first packet to the VIP."""
    return header(family, src=CLIENT[family], dst=vip or VIP[family], ecn=ecn) / TCP(
        sport=source_port, dport=port, flags="S", seq=1000
    )


def tunnelled(inner, family, source=None, ecn=0, **fields):
    protocol = 4 if isinstance(inner, IP) else 41
    outer = header(family, src=source or BALANCER[family], dst=BACKEND[family], protocol=protocol, ecn=ecn, **fields)
    return outer / inner


def parse(answer):
    octets = bytes.fromhex(answer)
    return IP(octets) if octets[0] >> 4 == 4 else IPv6(octets)


@contextmanager
def counting(lab, host="b1"):
    """A dictionary that has the increase of a backend's verdict counters after the block: see `risen`. The router's
    pings, by which frames.py learns its address, pass, too."""
    growth = {}
    before = lab.verdicts(host)
    yield growth
    growth.update(risen(before, lab.verdicts(host)))


def expect(found, wanted):
    assert found == wanted, f"expected {wanted}, found {found}"


def check_four_families(mode):
    with Lab("--mode", mode) as lab:
        for outer, inner in FAMILIES:
            port = 41000 + outer * 10 + inner
            with counting(lab) as growth:
                frame = tunnelled(syn(inner, source_port=port), outer)
                listener = listen_on_client(lab, port)
                lab.exchange("balancer", [frame])
                answer = parse(listener())
            assert answer.src == VIP[inner] and answer[TCP].flags == "SA" and answer[TCP].ack == 1001, answer.summary()
            expect(growth, {"decapsulated": 1})


def listen_on_client(lab, port):
    """Call the result to get the first TCP packet to a port of the client, hex."""
    script = (
        "import socket,sys\n"
        "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3));s.bind(('eth0',0));s.settimeout(3)\n"
        "print('ready',flush=True)\n"
        "while True:\n"
        "  p=s.recv(65536)[14:]\n"
        "  n=20 if p[0]>>4==4 else 40\n"
        "  if p[9 if n==20 else 6]==6 and int.from_bytes(p[n+2:n+4],'big')==int(sys.argv[1]): break\n"
        "print(p.hex())\n"
    )
    process = lab.start("client", "/usr/bin/python3", "-c", script, port)
    assert process.stdout.readline().strip() == "ready"

    def first():
        output, errors = process.communicate(timeout=10)
        assert process.returncode == 0, f"no answer reached the client's port {port}: {errors.strip()[-200:]}"
        return output.strip()

    return first


def test_xdp_unwraps_all_four_family_combinations():
    check_four_families("xdp")


def test_tc_unwraps_all_four_family_combinations():
    check_four_families("tc")


def test_generic_xdp_unwraps_all_four_family_combinations():
    check_four_families("generic")


# Sends a frame whose first 54 octets alone are in the buffer's linear part, as some drivers leave frames. The kernel does
# that for frames of more than a page.
NONLINEAR = """
import socket, struct, sys
PACKET, VNET_HDR, LINEAR = 263, 15, 54
port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
port.bind((sys.argv[1], 0))
port.setsockopt(PACKET, VNET_HDR, 1)
port.send(struct.pack("=BBHHHH", 0, 0, LINEAR, 0, 0, 0) + bytes.fromhex(sys.argv[2]))
"""


def test_tc_reads_headers_outside_the_linear_part():
    with Lab("--mode", "tc") as lab:
        for host, interface in [("router", "b1"), ("b1", "eth0")]:
            lab.on(host, "ip", "link", "set", interface, "mtu", "9000")
        link = json.loads(lab.on("b1", "ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
        for outer, inner in FAMILIES:
            echo = ICMP(type=8) if inner == 4 else ICMPv6EchoRequest()
            ping = header(inner, src=BALANCER[inner], dst=BACKEND[inner]) / echo / Raw(bytes(5000))
            kind = "0800" if outer == 4 else "86dd"
            frame = link.replace(":", "") + "020000000001" + kind + bytes(tunnelled(ping, outer)).hex()
            with counting(lab) as growth:
                lab.on("router", "/usr/bin/python3", "-c", NONLINEAR, "b1", frame)
            expect(growth, {"decapsulated": 1})


def test_sources_not_allowed_are_refused():
    for mode in ("xdp", "tc"):
        with Lab("--mode", mode) as lab:
            for outer, inner in FAMILIES:
                # From the client itself: what anyone could try who knows a backend's address.
                frames = [
                    tunnelled(syn(inner, source_port=20000 + n), outer, source=CLIENT[outer]) for n in range(250)
                ]
                with counting(lab) as growth:
                    answers = lab.exchange("client", frames)
                expect(len(answers), 0)
                expect(growth, {"dropped_source": 250})
            # The check can fail: once the client is on the list, the same packets get answers.
            lab.backend("b1", "up", "--mode", mode, "--vip", f"{VIP4},{VIP6}", "--allow", CLIENT[4])
            frame = tunnelled(syn(4, source_port=20000), 4, source=CLIENT[4])
            assert lab.exchange("client", [frame], expect=1), "an allowed source got no answer"


def test_unknown_vips_are_refused():
    with Lab() as lab:
        for outer, inner in FAMILIES:
            with counting(lab) as growth:
                lab.exchange("balancer", [tunnelled(syn(inner, vip=OTHER_VIP[inner]), outer)])
            expect(growth, {"dropped_unknown_vip": 1})


def odd_frames():
    """Name, frame to the backend, verdict."""
    for family in (4, 6):
        inner4, inner6 = bytes(syn(4)), bytes(syn(6))
        wrong_version = Raw(b"\x65" + inner4[1:])
        yield f"v{family}: inner version 6 in protocol 4", raw(family, wrong_version, 4), "dropped_malformed"
        yield f"v{family}: inner version 4 in protocol 41", raw(family, Raw(inner4 + bytes(60)), 41), "dropped_malformed"
        yield f"v{family}: inner IHL 4", raw(family, Raw(b"\x44" + inner4[1:]), 4), "dropped_malformed"
        long4 = inner4[:2] + (len(inner4) + 1).to_bytes(2, "big") + inner4[4:]
        yield f"v{family}: inner IPv4 longer than outer", raw(family, Raw(long4), 4), "dropped_malformed"
        long6 = inner6[:4] + (len(inner6) - 39).to_bytes(2, "big") + inner6[6:]
        yield f"v{family}: inner IPv6 longer than outer", raw(family, Raw(long6), 41), "dropped_malformed"
        yield f"v{family}: inner IPv4 header cut", raw(family, Raw(inner4[:19]), 4), "dropped_malformed"
        yield f"v{family}: inner IPv6 header cut", raw(family, Raw(inner6[:39]), 41), "dropped_malformed"
        yield f"v{family}: empty", raw(family, Raw(b""), 4), "dropped_malformed"
        yield f"v{family}: congestion, inner not capable", tunnelled(syn(4), family, ecn=CE), "dropped_congestion"
        yield f"v{family}: congestion, inner IPv6", tunnelled(syn(6), family, ecn=CE), "dropped_congestion"
    yield "outer options", tunnelled(syn(4), 4, options=[IPOption_NOP()] * 4), "dropped_outer_options"
    yield "first fragment", tunnelled(syn(4), 4, flags="MF"), "dropped_outer_fragment"
    yield "later fragment", tunnelled(syn(4), 4, frag=100), "dropped_outer_fragment"
    outer = IPv6(src=BALANCER[6], dst=BACKEND[6])
    yield "outer IPv6 fragment", outer / IPv6ExtHdrFragment(nh=4, m=1) / Raw(bytes(syn(4))), "dropped_outer_fragment"
    yield "outer destination options", outer / IPv6ExtHdrDestOpt(nh=41) / Raw(bytes(syn(6))), "dropped_outer_options"


def raw(family, payload, protocol):
    return header(family, src=BALANCER[family], dst=BACKEND[family], protocol=protocol) / payload


def test_odd_packets_are_dropped_by_name():
    for mode in ("xdp", "tc"):
        with Lab("--mode", mode) as lab:
            for name, frame, verdict in odd_frames():
                with counting(lab) as growth:
                    lab.exchange("balancer", [frame])
                assert growth == {verdict: 1}, f"{mode}, {name}: expected {verdict}, found {growth}"


# Sources that no client of a VIP has. The first ones are the backend's own: an answer to them would not leave it.
REFUSED_SOURCES = {
    4: [BACKEND[4], VIP4, "10.100.0.2", "10.77.0.1", "0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
    6: [BACKEND[6], VIP6, "fd00:100::2", "fd00:77::1", "::", "::1", "::ffff:10.0.1.2", "ff02::1", "ff0e::1"],
}


def inner_datagram(family, source, port=9):
    return header(family, src=source, dst=VIP[family]) / UDP(sport=port, dport=port) / Raw(b"x")


def inner_strangers():
    """Name, inner packet, verdict."""
    for family, sources in REFUSED_SOURCES.items():
        for source in sources:
            yield f"from {source}", inner_datagram(family, source), "dropped_inner_source"
        yield f"v{family}: GRE", header(family, src=CLIENT[family], dst=VIP[family]) / GRE() / Raw(b"x"), "dropped_inner_protocol"
        for number in (4, 41, 50, 132):
            yield (
                f"v{family}: protocol {number}",
                header(family, src=CLIENT[family], dst=VIP[family], protocol=number) / Raw(bytes(syn(4))),
                "dropped_inner_protocol")
        yield f"v{family}: UDP", inner_datagram(family, CLIENT[family]), "decapsulated"
        yield f"v{family}: TCP", syn(family), "decapsulated"
    base = IPv6(src=CLIENT[6], dst=VIP6)
    yield "v4: ping", IP(src=CLIENT[4], dst=VIP4) / ICMP(), "decapsulated"
    yield "v6: ping", base / ICMPv6EchoRequest(), "decapsulated"
    segment = TCP(sport=40000, dport=80, flags="S")
    yield "one extension header", base / IPv6ExtHdrDestOpt() / segment, "decapsulated"
    chain = base / IPv6ExtHdrHopByHop()
    for _ in range(5):
        chain = chain / IPv6ExtHdrDestOpt()
    yield "six extension headers", chain / segment, "decapsulated"
    yield "seven extension headers", chain / IPv6ExtHdrDestOpt() / segment, "dropped_inner_protocol"
    yield "IPv6 behind options", base / IPv6ExtHdrDestOpt(nh=41) / Raw(bytes(syn(6))), "dropped_inner_protocol"
    yield "ESP behind a chain", chain / IPv6ExtHdrDestOpt(nh=50) / Raw(bytes(40)), "dropped_inner_protocol"
    yield "a chain that leaves the packet", base / IPv6ExtHdrDestOpt(nh=60, len=200), "dropped_inner_protocol"


def test_what_no_client_can_send_is_refused():
    for mode in ("xdp", "tc"):
        with Lab("--mode", "none") as lab:
            lab.on("b1", "ip", "address", "add", "10.77.0.1/32", "dev", "lo")
            lab.on("b1", "ip", "address", "add", "fd00:77::1/128", "dev", "lo")
            up = ("up", "--mode", mode, "--vip", f"{VIP4},{VIP6},10.100.0.2,fd00:100::2", "--allow", "10.0.2.0/24,fd00:0:0:2::/64")
            lab.backend("b1", *up)
            for outer in (4, 6):
                for verdict in ("dropped_inner_source", "dropped_inner_protocol", "decapsulated"):
                    packets = {
                        name: tunnelled(inner, outer) for name, inner, wanted in inner_strangers() if wanted == verdict}
                    with counting(lab) as growth:
                        lab.exchange("balancer", packets.values())
                    assert growth == {verdict: len(packets)}, (
                        f"{mode}, outer IPv{outer}: {verdict} expected for {list(packets)}, found {growth}")


def test_an_address_that_the_host_gets_later_is_refused_after_another_up():
    with Lab() as lab:
        def doctor():
            checks = json.loads(lab.backend("b1", "doctor", "-o", "json", check=False).stdout)
            return next(check for check in checks if "source" in check["subject"] and "host" in check["subject"])

        assert doctor()["result"] == "OK", doctor()
        lab.on("b1", "ip", "address", "add", "fd00:77::9/128", "dev", "lo")
        assert doctor()["result"] == "WARN" and "fd00:77::9" in doctor()["observed"], doctor()
        up = ("up", "--vip", f"{VIP4},{VIP6}", "--allow", "10.0.2.0/24,fd00:0:0:2::/64")
        lab.backend("b1", *up)
        assert doctor()["result"] == "OK", doctor()
        with counting(lab) as growth:
            lab.exchange("balancer", [tunnelled(inner_datagram(6, "fd00:77::9"), 6)])
        expect(growth, {"dropped_inner_source": 1})
        lab.on("b1", "ip", "address", "del", "fd00:77::9/128", "dev", "lo")
        lab.backend("b1", *up)
        with counting(lab) as growth:
            lab.exchange("balancer", [tunnelled(inner_datagram(6, "fd00:77::9"), 6)])
        expect(growth, {"decapsulated": 1})


def add_addresses(lab, host, count):
    """Puts `count` addresses, 10.78.0.1 and those after it, on a host's lo."""
    lines = (f"address replace 10.78.{number >> 8}.{number & 255}/32 dev lo" for number in range(1, count + 1))
    lab.on(host, "ip", "-batch", "-", input="\n".join(lines))


def test_a_host_may_have_thousands_of_addresses():
    for mode in ("xdp", "tc"):
        with Lab("--mode", "none") as lab:
            up = ("up", "--mode", mode, "--vip", f"{VIP4},{VIP6}", "--allow", "10.0.2.0/24,fd00:0:0:2::/64")
            # More than a map of the standard size holds; then more than the map that was made for those.
            for count in (1500, 4000):
                add_addresses(lab, "b1", count)
                lab.backend("b1", *up)
                last = f"10.78.{count >> 8}.{count & 255}"
                with counting(lab) as growth:
                    lab.exchange("balancer", [tunnelled(inner_datagram(4, last), 4), tunnelled(syn(4), 4)])
                expect(growth, {"dropped_inner_source": 1, "decapsulated": 1})


def test_congestion_marks_travel_inwards():
    merged = [  # outer, inner, what the receiver sees (RFC 6040)
        (0, 0, 0), (ECT1, 0, 0), (ECT0, 0, 0), (0, ECT0, ECT0), (ECT0, ECT1, ECT1), (ECT1, ECT0, ECT1),
        (CE, ECT0, CE), (CE, ECT1, CE), (0, CE, CE), (CE, CE, CE),
    ]
    for mode in ("xdp", "tc"):
        with Lab("--mode", mode) as lab:
            # Every packet is to be answered, not the first few of a second.
            lab.on("b1", "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
            for outer, inner in FAMILIES:
                for outer_ecn, inner_ecn, seen in merged:
                    # What reaches the stack of a closed UDP port comes back inside an ICMP error.
                    packet = header(inner, src=CLIENT[inner], dst=VIP[inner], ecn=inner_ecn) / UDP(sport=9, dport=9)
                    capture = capture_unreachable(lab)
                    lab.exchange("balancer", [tunnelled(packet, outer, ecn=outer_ecn)])
                    expect((mode, outer, inner, outer_ecn, inner_ecn, capture()),
                           (mode, outer, inner, outer_ecn, inner_ecn, seen))


def capture_unreachable(lab):
    """Call the result to get the ECN field of the packet that the next ICMP error at the client quotes.

    Its IPv4 header checksum is checked on the way: a wrong one would have been dropped without an answer.
    """
    script = (
        "import socket\n"
        "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3));s.bind(('eth0',0));s.settimeout(3)\n"
        "print('ready',flush=True)\n"
        "while True:\n"
        "  p=s.recv(65536)[14:]\n"
        "  if p[0]>>4==4 and p[9]==1 and p[20]==3: q=p[28:];break\n"
        "  if p[0]>>4==6 and p[6]==58 and p[40]==1: q=p[48:];break\n"
        "print(q[1]&3 if q[0]>>4==4 else q[1]>>4&3)\n"
    )
    process = lab.start("client", "/usr/bin/python3", "-c", script)
    assert process.stdout.readline().strip() == "ready"

    def ecn():
        output, errors = process.communicate(timeout=10)
        assert process.returncode == 0, f"no ICMP error reached the client: {errors.strip()[-200:]}"
        return int(output)

    return ecn


def settled_counts(lab):
    """Frames that b1's interface took in, and its verdicts, with no frame between the two readings."""
    for _ in range(50):
        received = lab.received("b1")
        verdicts = lab.verdicts("b1")
        if lab.received("b1") == received:
            return received, sum(verdicts.values()), verdicts
    raise AssertionError("frames kept coming in to b1")


def test_counters_conserve():
    for mode in ("xdp", "tc"):
        with Lab("--mode", mode) as lab:
            frames = [frame for _, frame, _ in odd_frames()]
            frames += [
                tunnelled(syn(inner, source_port=port), outer)
                for outer, inner in FAMILIES for port in range(50000, 50050)
            ]
            frames += [tunnelled(syn(4), 4, source=CLIENT[4]), IP(src=BALANCER[4], dst=BACKEND[4]) / ICMP()]
            received, counted, verdicts = settled_counts(lab)
            lab.exchange("balancer", frames, repeat=5)
            received_after, counted_after, verdicts_after = settled_counts(lab)
            expect(counted_after - counted, received_after - received)
            expect(verdicts_after["decapsulated"] - verdicts["decapsulated"], 5 * 200)


def test_up_replaces_lists_and_down_leaves_nothing():
    for mode in ("xdp", "tc", "generic"):
        with Lab("--mode", "none") as lab:
            def host_state():
                return (
                    lab.on("b1", "ip", "-o", "address").stdout,
                    "xdp" in lab.on("b1", "ip", "link", "show", "eth0").stdout,
                    lab.on("b1", "tc", "filter", "show", "dev", "eth0", "ingress", check=False).stdout,
                    lab.on("b1", "sysctl", "-a", "--pattern", "arp_(ignore|announce)$").stdout,
                )

            before = host_state()
            arguments = ("up", "--mode", mode, "--shared-link", "--allow", "10.0.2.0/24", "--vip")
            lab.backend("b1", *arguments, VIP4)
            lab.backend("b1", *arguments, VIP6)
            lab.backend("b1", *arguments, VIP6)
            addresses = lab.on("b1", "ip", "-brief", "address", "show", "lo").stdout
            assert VIP6 in addresses and VIP4 not in addresses, addresses
            assert host_state() != before
            lab.backend("b1", "doctor")
            lab.backend("b1", "down")
            expect(host_state(), before)
            assert not (lab.pins / "b1").exists() and not (lab.run_directory / "b1/eth0.json").exists()
            lab.backend("b1", "down")


def test_down_keeps_what_was_there_before():
    with Lab("--mode", "none") as lab:
        lab.on("b1", "ip", "address", "add", f"{VIP4}/32", "dev", "lo")
        lab.on("b1", "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
        lab.backend("b1", "up", "--vip", f"{VIP4},{VIP6}", "--allow", "10.0.2.0/24", "--shared-link")
        lab.backend("b1", "down")
        addresses = lab.on("b1", "ip", "-brief", "address", "show", "lo").stdout
        assert VIP4 in addresses and VIP6 not in addresses, addresses
        expect(lab.on("b1", "sysctl", "-n", "net.ipv4.conf.all.arp_ignore").stdout.strip(), "1")


def test_doctor_finds_udp_listeners():
    with Lab() as lab:
        def listeners(*options):
            checks = json.loads(lab.backend("b1", "doctor", "-o", "json", *options, check=False).stdout)
            return {check["result"] for check in checks if "listener" in check["subject"]}

        expect(listeners("--port", "5300"), {"FAIL"})
        echo = lab.start("b1", "/usr/bin/python3", Path(__file__).with_name("udp_echo.py"), 5300, VIP4, VIP6, CROSS4, CROSS6)
        assert echo.stdout.readline().strip() == "ready"
        expect(listeners("--port", "5300"), {"OK"})
        expect(listeners("--port", "5300/udp"), {"OK"})
        expect(listeners("--port", "5300/tcp"), {"FAIL"})
        expect(listeners("--port", "80/tcp,80/udp"), {"OK", "FAIL"})
        # A backend that has no TCP server.
        lab.on("b1", "nginx", "-c", lab.run_directory / "b1/nginx.conf", "-s", "stop")
        for _ in range(100):
            if listeners("--port", "80/tcp") == {"FAIL"}:
                break
            time.sleep(0.1)
        expect(listeners(), {"OK"})


def test_shared_link_keeps_settings_that_are_stricter():
    with Lab("--mode", "none") as lab:
        def settings():
            names = [f"net.ipv4.conf.{interface}.{name}" for interface in ("all", "eth0")
                     for name in ("arp_ignore", "arp_announce")]
            return [int(value) for value in lab.on("b1", "sysctl", "-n", *names).stdout.split()]

        # Ignored and announced, of the whole host and of eth0: before `up` and while it is up. 3 lets the host answer for
        # VIPs on lo.
        for before, meanwhile in (([2, 2, 8, 2], [2, 2, 8, 2]), ([8, 1, 0, 0], [8, 2, 1, 2]), ([1, 2, 3, 0], [1, 2, 1, 2])):
            for interface, values in (("all", before[:2]), ("eth0", before[2:])):
                for name, value in zip(("arp_ignore", "arp_announce"), values):
                    lab.on("b1", "sysctl", "-qw", f"net.ipv4.conf.{interface}.{name}={value}")
            for _ in range(2):
                lab.backend("b1", "up", "--vip", VIP4, "--allow", "10.0.2.0/24", "--shared-link")
                expect(settings(), meanwhile)
            lab.backend("b1", "down")
            expect(settings(), before)


@contextmanager
def two_interfaces():
    """A lab whose b1 has a second interface, eth1, and a function that runs sluice-backend on b1."""
    with Lab("--mode", "none") as lab:
        lab.on("b1", "ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1-peer")
        lab.on("b1", "ip", "address", "add", "10.0.99.2/24", "dev", "eth1")
        for end in ("eth1", "eth1-peer"):
            lab.on("b1", "ip", "link", "set", end, "up")
        run_directory = lab.run_directory / "b1-records"

        def backend(command, interface=None, *arguments, **options):
            place = ["--run-dir", run_directory]
            if interface:
                place += ["--interface", interface]
                if command != "status":
                    place += ["--pin-dir", lab.pins / f"b1-{interface}"]
            return lab.on("b1", BIN / "sluice-backend", command, *place, *arguments, **options)

        yield lab, backend


def up(backend, interface, vips, *options):
    return backend("up", interface, "--mode", "tc", "--vip", ",".join(vips), "--allow", "10.0.2.0/24", *options)


def on_loopback(lab):
    words = lab.on("b1", "ip", "-brief", "address", "show", "lo").stdout.split()
    return {word.split("/")[0] for word in words} & {VIP4, VIP6, OTHER_VIP[4], OTHER_VIP[6]}


def silence(lab):
    """arp_ignore and arp_announce of the whole host."""
    return lab.on("b1", "sysctl", "-n", "net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce").stdout.split()


def test_what_another_interface_needs_of_the_host_stays():
    with two_interfaces() as (lab, backend):
        # The VIP and the silence stay until no interface needs them, in either order.
        for first, last in (("eth0", "eth1"), ("eth1", "eth0")):
            up(backend, "eth0", [VIP4, VIP6], "--shared-link")
            up(backend, "eth1", [VIP4, OTHER_VIP[4]], "--shared-link")
            backend("down", first)
            expect(on_loopback(lab), {VIP4, VIP6} if last == "eth0" else {VIP4, OTHER_VIP[4]})
            expect(silence(lab), ["1", "2"])
            backend("down", first)
            expect(on_loopback(lab), {VIP4, VIP6} if last == "eth0" else {VIP4, OTHER_VIP[4]})
            backend("down", last)
            expect(on_loopback(lab), set())
            expect(silence(lab), ["0", "0"])
            assert not (lab.run_directory / "b1-records").exists()

        # A VIP that leaves the list of one interface.
        up(backend, "eth0", [VIP4, VIP6])
        up(backend, "eth1", [VIP4])
        up(backend, "eth0", [VIP6])
        expect(on_loopback(lab), {VIP4, VIP6})
        backend("down", "eth1")
        expect(on_loopback(lab), {VIP6})
        backend("down", "eth0")

        # A setting that the other interface does not need, and a VIP that was there before.
        lab.on("b1", "ip", "address", "add", f"{VIP4}/32", "dev", "lo")
        up(backend, "eth0", [VIP4, VIP6], "--shared-link")
        up(backend, "eth1", [VIP6])
        backend("down", "eth0")
        expect((on_loopback(lab), silence(lab)), ({VIP4, VIP6}, ["0", "0"]))
        backend("down", "eth1")
        expect(on_loopback(lab), {VIP4})
        lab.on("b1", "ip", "address", "delete", f"{VIP4}/32", "dev", "lo")

        # Commands at the same time.
        for _ in range(5):
            together(lambda: up(backend, "eth0", [VIP4, VIP6]), lambda: up(backend, "eth1", [VIP4, OTHER_VIP[4]]))
            expect(on_loopback(lab), {VIP4, VIP6, OTHER_VIP[4]})
            together(lambda: backend("down", "eth0"), lambda: up(backend, "eth1", [VIP4]))
            expect(on_loopback(lab), {VIP4})
            together(lambda: backend("down", "eth0"), lambda: backend("down", "eth1"))
            expect(on_loopback(lab), set())


def together(*actions):
    with ThreadPoolExecutor(len(actions)) as pool:
        for future in [pool.submit(action) for action in actions]:
            future.result()


def test_status_of_all_interfaces_and_the_version():
    with two_interfaces() as (lab, backend):
        done = backend("status", check=False)
        assert done.returncode == 1 and "no interface of this host decapsulates" in done.stderr, done.stderr
        up(backend, "eth0", [VIP4])
        up(backend, "eth1", [VIP6])
        reports = json.loads(backend("status", None, "-o", "json").stdout)
        expect([(report["interface"], report["vips"], report["attached"]) for report in reports],
               [("eth0", [VIP4], True), ("eth1", [VIP6], True)])
        alone = json.loads(backend("status", "eth1", "-o", "json").stdout)
        # A packet of neighbour discovery may be counted between the two reports.
        for report in (reports[1], alone):
            report["verdicts"] = [verdict["verdict"] for verdict in report["verdicts"]]
        expect(reports[1], alone)
        text = backend("status").stdout
        assert "eth0, attached" in text and "eth1, attached" in text, text
        lab.on("b1", "ip", "link", "delete", "eth1")
        text = backend("status").stdout
        assert "eth0, attached" in text and "eth1, NOT ATTACHED" in text, text
        version = lab.on("b1", BIN / "sluice-backend", "--version").stdout
        expect(version, lab.on("b1", BIN / "sluice", "--version").stdout)


def test_up_after_one_that_could_not_attach():
    with Lab("--mode", "none") as lab:
        other = ("--pin-dir", lab.pins / "other", "--run-dir", lab.run_directory / "other")
        lists = ("--vip", VIP4, "--allow", "10.0.2.0/24")

        def elsewhere(command, *arguments):
            return lab.on("b1", BIN / "sluice-backend", command, "--interface", "eth0", *other, *arguments)

        elsewhere("up", "--mode", "generic", *lists)
        try:
            failed = lab.backend("b1", "up", "--mode", "xdp", *lists, check=False)
            assert failed.returncode != 0, failed.stdout
            # Another mode, although the record of the one that failed says xdp.
            lab.backend("b1", "up", "--mode", "tc", *lists)
            refused = lab.backend("b1", "up", "--mode", "xdp", *lists, check=False)
            assert refused.returncode != 0 and "decapsulates already, in mode tc" in refused.stderr, refused.stderr
            lab.backend("b1", "down")
        finally:
            elsewhere("down")


def test_a_tc_program_without_pins_is_replaced_and_taken_down():
    with Lab("--mode", "none") as lab:
        def filters():
            return lab.on("b1", "tc", "filter", "show", "dev", "eth0", "ingress", check=False).stdout

        up = ("up", "--mode", "tc", "--vip", VIP4, "--allow", "10.0.2.0/24")
        lab.backend("b1", *up)
        # As an `up` that is killed between the old program's pin and the new one's leaves it.
        (lab.pins / "b1/program").unlink()
        lab.backend("b1", *up)
        assert filters().count("direct-action") == 1, filters()
        (lab.pins / "b1/program").unlink()
        lab.backend("b1", "down")
        assert "decapsulate_tc" not in filters(), filters()


def test_down_refuses_other_pins_than_those_of_up():
    with Lab("--mode", "none") as lab:
        lab.backend("b1", "up", "--vip", VIP4, "--allow", "10.0.2.0/24")
        wrong = lab.on(
            "b1", BIN / "sluice-backend", "down", "--interface", "eth0", "--pin-dir", lab.pins / "wrong", "--run-dir",
            lab.run_directory / "b1", check=False)
        assert wrong.returncode != 0 and str(lab.pins / "b1") in wrong.stderr, wrong.stderr
        lab.backend("b1", "doctor")


def test_more_vips_than_fit_beside_the_old_ones():
    with Lab("--mode", "none") as lab:
        for network in (80, 90):
            vips = [f"10.{network}.{number >> 8}.{number & 255}" for number in range(1, 2101)]
            lab.backend("b1", "up", "--vip", ",".join(vips), "--allow", "10.0.2.0/24")
        status = json.loads(lab.backend("b1", "status", "-o", "json").stdout)
        expect(sorted(status["vips"]), sorted(vips))


def test_mistakes_are_named_and_change_nothing():
    with Lab("--mode", "none") as lab:
        for arguments, words in [
            (["--vip", VIP4, "--allow", "10.0.2.0/24", "--tunnel-address", VIP4], "given as --vip and as"),
            (["--vip", "127.0.0.1", "--allow", "10.0.2.0/24"], "127.0.0.1"),
            (["--vip", VIP4, "--allow", "10.0.2.1/24"], "10.0.2.1/24"),
            (["--vip", VIP4], "--allow"),
        ]:
            done = lab.backend("b1", "up", *arguments, check=False)
            assert done.returncode != 0 and words in done.stderr, f"{arguments}: {done.returncode} {done.stderr}"
        assert not (lab.pins / "b1").exists()
        try:
            lab.backend("b1", "status")
        except CommandFailed as failure:
            assert "does not decapsulate" in str(failure)
        else:
            raise AssertionError("status of nothing succeeds")
