# SPDX-License-Identifier: Apache-2.0
"""Clients behind narrow paths, and clients that count hops: traffic that reaches a backend directly also reaches a VIP."""

import json
import os
import time
from contextlib import contextmanager

from scapy.all import ICMP, IP, TCP

from balancing import BACKENDS, CROSS4, CROSS6, HERE, PYTHON, Balancer
from lab import VIP4, VIP6

UDP_PORT = 9000
MEGABYTE = 1 << 20


@contextmanager
def servers(lab, vip, octets):
    """UDP servers on all backends, whose answers are of a size."""
    processes = [lab.start(host, PYTHON, HERE / "sized_answers.py", "serve", vip, UDP_PORT, octets) for host in BACKENDS]
    for process in processes:
        assert process.stdout.readline().strip() == "ready", process.stderr.read()
    yield
    for process in processes:
        process.communicate("", timeout=10)


def ask(lab, vip, count, tries, hops=64):
    """The octets of each flow's answer."""
    done = lab.on("client", PYTHON, HERE / "sized_answers.py", "ask", vip, UDP_PORT, count, tries, hops, timeout=60)
    return json.loads(done.stdout)


def narrow(lab, mtu):
    """Narrows the router's link to the client; the client itself does not know of it."""
    lab.on("router", "ip", "link", "set", "client", "mtu", mtu)


CONNECT = """
import socket, sys
vip, hops = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in vip else socket.AF_INET
connection = socket.socket(family, socket.SOCK_STREAM)
connection.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if ":" in vip else (0, socket.IP_TTL)), hops)
connection.settimeout(3)
connection.connect((vip, 80))
connection.sendall(b"GET /name HTTP/1.0\\r\\n\\r\\n")
print(connection.recv(4096).split()[1].decode())
"""


def test_a_vip_is_as_many_hops_away_as_the_balancer():
    """Packets arrive with a TTL or hop limit of 1: the VIP is their destination."""
    with Balancer() as lab:
        before = lab.verdict_counts()
        for vip in (VIP4, VIP6, CROSS4, CROSS6):
            assert lab.on("client", PYTHON, "-c", CONNECT, vip, 2).stdout.strip() == "200", vip
            with servers(lab, vip, 100):
                answers = ask(lab, vip, 4, 1, hops=2)
            assert answers == [100] * 4, (vip, answers)
            done = lab.on("client", "ping", "-c", "3", "-i", "0.2", "-W", "1", "-t", "2", vip)
            assert " 0% packet loss" in done.stdout, done.stdout
            # One hop less ends at the router.
            assert lab.on("client", "ping", "-c", "1", "-W", "1", "-t", "1", vip, check=False).returncode != 0
        after = lab.verdict_counts()
        assert after["dropped_ttl_expired"] == before["dropped_ttl_expired"], (before, after)


def test_ipv6_udp_answers_larger_than_the_path_arrive():
    """The router's "packet too big" quotes the first fragment of an answer, and must reach the backend that sent it."""
    with Balancer() as lab:
        narrow(lab, 1400)
        for vip in (VIP6, CROSS6):
            with servers(lab, vip, 3000):
                answers = ask(lab, vip, 4, 3)
            print(f"  {vip}, path MTU 1400: {sum(size == 3000 for size in answers)} of 4 answers of 3000 octets arrive")
            assert answers == [3000] * 4, (vip, answers)


def test_downloads_over_a_path_of_400_octets_arrive():
    """Below 552 octets Linux gives up path MTU discovery and lets routers fragment, if it gets such an MTU."""
    with Balancer() as lab:
        narrow(lab, 400)
        for vip in (VIP4, CROSS4):
            done = lab.on(
                "client", "curl", "-sS", "--max-time", "15", "-r", "0-99999", "-o", "/dev/null", "-w", "%{size_download}",
                f"http://{vip}/big", check=False)
            print(f"  {vip}, path MTU 400: {done.stdout} of 100000 octets arrive")
            assert done.stdout == "100000", done.stdout + done.stderr


def forged(port):
    """ "Fragmentation needed" about a connection, from a sender who does not see it, with each kind of MTU."""
    quoted = IP(src=VIP4, dst="10.0.1.2") / TCP(sport=80, dport=port, seq=0x12345678, flags="A")
    return [
        IP(src="203.0.113.1", dst=VIP4) / ICMP(type=3, code=4, nexthopmtu=mtu) / bytes(quoted)[:28]
        for mtu in (0, 1, 67, 68, 296, 551, 552, 576)
    ]


def test_10000_forged_errors_do_not_harm_a_transfer():
    with Balancer() as lab:
        body = lab.run_directory / "body"
        body.write_bytes(os.urandom(3 * MEGABYTE))
        url = f"http://{VIP4}"

        def transfer(port, is_attacked):
            started = time.monotonic()
            upload = lab.start(
                "client", "curl", "-sS", "--fail", "--max-time", "60", "--limit-rate", "2M", "--local-port", port, "-T",
                body, f"{url}/upload", "--next", "-sS", "--fail", "--max-time", "60", "--limit-rate", "2M",
                "--local-port", port + 1, "-r", f"0-{3 * MEGABYTE - 1}", "-o", "/dev/null", "-w", "%{size_download}",
                f"{url}/big")
            if is_attacked:
                for _ in range(5):
                    lab.exchange("client", forged(port) + forged(port + 1), repeat=125, seconds=0.4)
            out, err = upload.communicate(timeout=90)
            assert f"received {3 * MEGABYTE}" in out and out.endswith(str(3 * MEGABYTE)), out + err
            return time.monotonic() - started

        alone = transfer(40000, False)
        attacked = transfer(41000, True)
        counts = lab.verdict_counts()
        print(
            f"  3 MB up and 3 MB down: {alone:.2f} s, under 10000 forged errors {attacked:.2f} s,"
            f" {counts['dropped_icmp_mtu']} of them dropped")
        assert counts["dropped_icmp_mtu"] >= 2500, counts
