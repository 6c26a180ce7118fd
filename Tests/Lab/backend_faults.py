# SPDX-License-Identifier: Apache-2.0
"""What may be wrong with a backend, planted on one of the lab."""

from servers import DNS, ECHO, HTTP, HTTPS, PLAIN, PYTHON, HERE, VIPS

# Classic BPF: everything but ICMP is dropped, as by a firewall that says nothing.
ONLY_ICMP = ("9,40 0 0 12,21 0 2 2048,48 0 0 23,21 3 4 1,21 0 2 34525,48 0 0 20,21 0 1 58,6 0 0 4294967295,6 0 0 2")
BALANCER_SOURCES = "10.0.2.0/24,172.16.0.0/16,fd00:0:0:2::/64,fd00:172::/64"


def vips_on_lo(lab, host, verb):
    """Adds or deletes the VIPs; verb: "add" or "del"."""
    for vip in VIPS:
        prefix, more = ("128", ["nodad"]) if ":" in vip else ("32", [])
        lab.on(host, "ip", "address", verb, f"{vip}/{prefix}", "dev", "lo", *(more if verb == "add" else []))


def decapsulation_off(lab, host):
    """The VIPs stay: that is another fault."""
    lab.backend(host, "down")
    vips_on_lo(lab, host, "add")
    # Linux tells a host once a second that nobody takes its packets; here many ask at a time.
    lab.on(host, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")


def decapsulation_on(lab, host):
    vips_on_lo(lab, host, "del")
    decapsulate(lab, host)


def decapsulate(lab, host):
    lab.backend(host, "up", "--mode", "xdp", "--vip", ",".join(VIPS), "--allow", BALANCER_SOURCES)


def take_a_tunnel_device(lab, host):
    """Replaces our decapsulation, whose packets arrive on the interface that is also their return route."""
    decapsulation_off(lab, host)
    # It must be there before it is strict.
    lab.on(host, "sysctl", "-qw", "net.ipv4.conf.default.rp_filter=0", "net.ipv4.conf.all.rp_filter=0")
    device = lab.start(host, PYTHON, HERE / "tunnel_device.py", "tun0")
    assert device.stdout.readline().strip() == "ready", device.stderr.read()
    lab.on(host, "sysctl", "-qw", "net.ipv4.conf.tun0.rp_filter=0")


def filter_strictly(lab, host, is_strict):
    lab.on(host, "sysctl", "-qw", f"net.ipv4.conf.tun0.rp_filter={int(is_strict)}")


def shrink(lab, host):
    """Larger packets to the backend are lost silently, and the backend does not know."""
    for default, gateway in ((("route",), f"10.0.1{host[1:]}.1"), (("-6", "route"), f"fd00:0:0:1{host[1:]}::1")):
        lab.on(host, "ip", *default, "change", "default", "via", gateway, "advmss", 1400)
    lab.on(host, "ip", "link", "set", "eth0", "mtu", 1300)


def widen(lab, host):
    lab.on(host, "ip", "link", "set", "eth0", "mtu", 1600)


def firewall(lab, host):
    lab.on(host, "tc", "qdisc", "add", "dev", "eth0", "clsact")
    lab.on(host, "tc", "filter", "add", "dev", "eth0", "ingress", "bpf", "direct-action", "bytecode", ONLY_ICMP)


def no_firewall(lab, host):
    lab.on(host, "tc", "qdisc", "del", "dev", "eth0", "clsact")


def answer_wrongly(servers, wrong_files):
    """Each server with an answer of the right form that is not the expected one."""
    servers.stop()
    servers.start_dns(knows=False)
    servers.plant("echo", f"{ECHO}/udp:other")
    servers.start_web(files=wrong_files, status=503)


def answer_garbage(servers):
    servers.stop()
    servers.plant(
        "all", f"{PLAIN}/tcp:garbage", f"{HTTP}/tcp:garbage", f"{HTTPS}/tcp:garbage_after_question",
        f"{DNS}/tcp:garbage_after_question", f"{DNS}/udp:garbage", f"{ECHO}/udp:garbage")


def answer_slowly(servers):
    servers.stop()
    servers.plant(
        "all", f"{PLAIN}/tcp:open", f"{HTTP}/tcp:slow_body", f"{HTTPS}/tls:slow_body", f"{DNS}/tcp:dns_endless",
        f"{DNS}/udp:nothing", f"{ECHO}/udp:nothing")


def answer_as_they_should(servers):
    servers.stop()
    servers.start_all()
