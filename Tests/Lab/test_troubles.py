# SPDX-License-Identifier: Apache-2.0
"""Every row of README.md's table of troubles, produced once.

The words that a screen must show are read from the table. A row that nothing here produces is a failure.
"""

import re
import struct
import time
from contextlib import contextmanager

import readme
from deployment import ADDRESSES, BACKENDS, CONFIGURATION, VIP, Deployment, until
from lab import BIN, ROOT

# Of the configuration, with what is to stand in its place.
WITHOUT_CHECK = (r"(?m)^ +check:.*\n", "")


def test_every_row_of_the_trouble_table():
    with Deployment() as d:
        d.follow()
        d.await_all_backends()
        for row in readme.troubles():
            produce = next((produce for names, produce in PRODUCERS if names(row)), None)
            assert produce, f"nothing here produces this row of README.md's table: {row}"
            started = time.monotonic()
            try:
                produce(d, row)
                d.await_all_backends()
            except Exception as failure:
                raise AssertionError(f"row {row}:\n{failure}\n{d.cli('status', check=False).stdout}") from failure
            print(f"  {row} ({time.monotonic() - started:.1f} s)", flush=True)


def counts(screen):
    """Numbers of a screen by the word before them."""
    return {word: int(number) for word, number in re.findall(r"^\s*(\w+) +(\d+)(?: |$)", screen, re.M)}


def verdicts(d):
    return counts(d.cli("status").stdout)


@contextmanager
def rising(look, *names):
    """Each of these is on the screen after the block, with a larger number."""
    before = look()
    yield
    after = look()
    for name in names:
        assert after.get(name, 0) > before.get(name, 0), f"{name} does not rise: {before}, {after}"


@contextmanager
def configured(d, *changes):
    """The configuration with texts replaced, as an operator edits it."""
    before = d.balancer.read(CONFIGURATION)
    text = before
    for old, new in changes:
        assert re.search(old, text), f"{old} is not in the configuration"
        text = re.sub(old, new, text, count=1)
    reload(d, text)
    try:
        yield
    finally:
        reload(d, before)


def reload(d, text):
    d.balancer.write(CONFIGURATION, text)
    d.balancer.shell("sudo systemctl reload sluiced")


def not_attached_or_generic(d, row):
    d.cli("detach", "--yes")
    assert re.search(r"^interface +eth0: not attached, .*: \w", d.cli("status").stdout, re.M)
    # Frames that are too large for native mode; veth asks its peer.
    d.router.root("rm", "/sys/fs/bpf/pass")
    d.router.root("ip", "link", "set", "balancer", "mtu", 4000)
    d.balancer.shell("sudo systemctl restart sluiced")
    screen = d.cli("status").stdout
    assert re.search(r"^interface +eth0: generic XDP \(.+\)", screen, re.M), screen
    d.cli("detach", "--yes")
    d.router.root("ip", "link", "set", "balancer", "mtu", 2000)
    d.attach_pass()
    d.balancer.shell("sudo systemctl restart sluiced")
    assert "native XDP" in d.cli("status").stdout


def no_answer_of_the_daemon(d, row):
    """Another program is on the interface; then the file has a mistake."""
    d.cli("detach", "--yes")
    d.balancer.shell("sudo systemctl stop sluiced")
    other = "/sys/fs/bpf/other"
    d.balancer.root(BIN / "sluice-backend", "attach-pass", "--interface", "eth0", "--pin", other)
    assert d.balancer.shell("sudo systemctl start sluiced", check=False).returncode != 0
    assert d.cli("status", check=False).returncode == 69
    journal = d.balancer.shell("sudo journalctl -u sluiced").stdout
    # Not always the very last one: a verdict may come while the daemon ends.
    last = "\n".join(journal.strip().splitlines()[-4:])
    assert re.search(r"cannot start.*XDP program \(id \d+.*attached already", last), journal
    d.balancer.root("rm", other)
    before = d.balancer.read(CONFIGURATION)
    d.balancer.write(CONFIGURATION, before.replace("backends:", "backend:", 1))
    assert d.balancer.shell("sudo systemctl start sluiced", check=False).returncode != 0
    assert re.search(rf"{CONFIGURATION}:\d+:\d+: error", d.balancer.shell("sudo journalctl -u sluiced").stdout)
    d.balancer.write(CONFIGURATION, before)
    d.balancer.shell("sudo systemctl start sluiced")


def passed_other_host(d, row):
    d.router.root(
        "ip", "neighbour", "replace", ADDRESSES["balancer"], "lladdr", "02:00:00:00:00:99", "dev", "lan",
        "nud", "permanent")
    with rising(lambda: verdicts(d), *row.quoted):
        assert d.get(seconds=1, check=False) == ""
    d.router.root("ip", "neighbour", "delete", ADDRESSES["balancer"], "dev", "lan")


def passed_not_ours(d, row):
    """Another address is routed here."""
    d.router.root("ip", "route", "add", "192.0.2.11/32", "via", ADDRESSES["balancer"])
    with rising(lambda: verdicts(d), *row.quoted):
        d.client.root("curl", "-s", "--max-time", 1, "http://192.0.2.11/", check=False)
    d.router.root("ip", "route", "delete", "192.0.2.11/32")
    assert VIP in d.cli("service", "list").stdout


def unserved_port(d, row):
    with rising(lambda: verdicts(d), *row.quoted):
        d.client.root("curl", "-s", "--max-time", 1, f"http://{VIP}:81/", check=False)
    assert not re.search(r" 81 ", d.cli("service", "list").stdout)


def no_next_hop(d, row):
    """A backend's host is not there, and nothing checks it."""
    absent = ("(?=      - { name: web2)", "      - { name: web3, address: 10.0.0.13 }\n")
    with configured(d, WITHOUT_CHECK, absent):
        with rising(lambda: verdicts(d), *row.quoted):
            for _ in range(20):
                d.get(seconds=1, check=False)
        screen = d.cli("status").stdout
        cure = re.search(r"^ALARM no-next-hop, web/web3.*\n +cure: (.*)", screen, re.M)
        assert cure, screen
        for command in re.findall(r"`([^`]+)`", row.then):
            assert command in cure[1], (row.then, screen)
        assert re.search(r"10.0.0.13.*FAILED|10.0.0.13.*INCOMPLETE", d.balancer.shell(cure[1]).stdout)


def internet_header(verdict):
    """A frame's IPv4 packet that gets this verdict."""
    ttl, words = {"dropped_ttl_expired": (0, 5), "dropped_malformed": (64, 4)}[verdict]
    source, destination = (bytes(map(int, address.split("."))) for address in ("198.51.100.2", VIP))
    header = struct.pack(">BBHHHBBH4s4s", 4 << 4 | words, 0, 40, 1, 0, ttl, 6, 0, source, destination)
    total = sum(struct.unpack(">10H", header))
    total = (total & 0xffff) + (total >> 16)
    header = header[:10] + struct.pack(">H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + header[12:]
    return header + struct.pack(">HHIIHHHH", 40000, 80, 1, 0, 5 << 12 | 2, 64000, 0, 0)


def odd_packets(d, row):
    mac = re.search(r"link/ether (\S+)", d.balancer.root("ip", "link", "show", "eth0").stdout)[1]
    known = (ROOT / "docs/packets.md").read_text()
    for name in row.quoted:
        frame = bytes.fromhex(mac.replace(":", "")) + bytes(6) + b"\x08\x00" + internet_header(name)
        script = (
            "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('lan', 0)); "
            f"s.send(bytes.fromhex('{frame.hex()}'))")
        with rising(lambda: verdicts(d), name):
            d.router.root("/usr/bin/python3", "-c", script)
            time.sleep(0.2)
        assert f"\n| `{name}` |" in known and "docs/packets.md" in row.then, name
    assert row.quoted


def a_backend_is_down(d, row):
    d.web1.root("ip", "address", "delete", f"{VIP}/32", "dev", "lo")
    until(lambda: re.search(r"^web/web1 .* down ", d.cli("backend", "list").stdout, re.M), "web1 is down")
    command, = row.quoted
    done = d.balancer.shell(command, check=False)
    assert done.returncode == 1 and "FAILED at layer vip" in done.stdout, done
    cure = re.search(r"ip address add .*", done.stdout.splitlines()[-1])[0]
    d.web1.root(*cure.split())


def timeouts_with_packets_refused(d, row):
    with configured(d, WITHOUT_CHECK):
        with allowing(d, "10.0.0.2/32"):
            with rising(lambda: forwarded(d), "forwarded"), rising(lambda: on_backend(d, row), row.quoted[1]):
                d.get(seconds=1, check=False)
        with firewall(d):
            before = on_backend(d, row)
            with rising(lambda: forwarded(d), "forwarded"):
                d.get(seconds=1, check=False)
            after = on_backend(d, row)
            assert all(after[name] == before[name] for name in row.quoted[1:]), (before, after)


def forwarded(d):
    return {"forwarded": int(re.search(r"^packets .*?(\d+) forwarded", d.cli("status").stdout, re.M)[1])}


def on_backend(d, row):
    """What the backend's screen that the row names counts, both backends together."""
    command = row.quoted[0]
    assert command.startswith("sluice-backend status"), row
    total = {}
    for name in BACKENDS:
        for word, number in counts(d.hosts[name].shell(f"sudo {command}").stdout).items():
            total[word] = total.get(word, 0) + number
    return total


@contextmanager
def allowing(d, sources):
    """`sluice-backend up` with other sources than README.md has."""
    step = next(step for step in readme.steps() if "Backends" in step.title)
    block = next(block.text for block in step.blocks if "sluice-backend up" in block.text)
    for name in BACKENDS:
        d.hosts[name].shell(re.sub(r"--allow \S+", f"--allow {sources}", block), check=False)
    yield
    for name in BACKENDS:
        d.hosts[name].shell(block)


@contextmanager
def firewall(d):
    """The bridge to the backends blocks tunnel packets."""
    d.router.root("nft", "add table bridge sluice; add chain bridge sluice forward "
                  "{ type filter hook forward priority 0; }; "
                  "add rule bridge sluice forward ether type ip ip protocol 4 drop")
    yield
    d.router.root("nft", "delete table bridge sluice")


def decapsulated_and_no_answer(d, row):
    status = next(other for other in readme.troubles() if "sluice-backend status" in other.says)
    doctor = next(words for words in row.quoted if words.startswith("sluice-backend doctor"))

    def complaint():
        return d.web1.shell(f"sudo {doctor}", check=False).stdout

    with configured(d, WITHOUT_CHECK, (r"(?=address: 10.0.0.12 })", "state: maint, ")):
        for causes, cures, complains in (
            (("ip", "address", "delete", f"{VIP}/32", "dev", "lo"), ("ip", "address", "add", f"{VIP}/32", "dev", "lo"),
             rf"{VIP} on lo.*missing"),
            (("nginx", "-c", "/run/web/nginx.conf", "-s", "stop"), None, rf"listeners for {VIP}.*none"),
            (("sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1"), ("sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=2"),
             r"rp_filter.*1"),
        ):
            before = complaint()
            assert not re.search(complains, before), before
            d.web1.root(*causes)
            with rising(lambda: on_backend(d, status), "decapsulated"):
                d.get(seconds=1, check=False)
            assert re.search(complains, complaint()), complaint()
            if cures:
                d.web1.root(*cures)
            else:
                d.serve("web1")


def large_uploads(d, row):
    """The links have no more room than without encapsulation, and a router drops ICMP."""
    drop = "pref 10 from 192.0.2.10 ipproto icmp blackhole".split()
    d.router.root("ip", "rule", "add", *drop)
    d.balancer.root("ip", "link", "set", "eth0", "mtu", 1500)
    try:
        with rising(lambda: verdicts(d), *(words for words in re.findall(r"`(\w+)`", row.says))):
            assert not d.upload(seconds=3), "the upload did not hang"
        assert "step 2" in row.then
        block = next(step for step in readme.steps() if step.title.startswith("2.")).blocks[0]
        d.balancer.shell(block.text)
        assert d.upload(seconds=20), "the upload hangs still"
    finally:
        d.router.root("ip", "rule", "delete", *drop)


def says(*words):
    return lambda row: all(word in row.says for word in words)


PRODUCERS = (
    (says("not attached", "generic"), not_attached_or_generic),
    (says("journalctl"), no_answer_of_the_daemon),
    (says("`passed_other_host`"), passed_other_host),
    (says("unserved`"), unserved_port),
    (says("`passed_not_ours`"), passed_not_ours),
    (says("`dropped_no_next_hop`"), no_next_hop),
    (says("`dropped_ttl_expired`"), odd_packets),
    (says("sluice check run"), a_backend_is_down),
    (says("sluice-backend status"), timeouts_with_packets_refused),
    (says("sluice-backend doctor"), decapsulated_and_no_answer),
    (says("`answered_too_big`"), large_uploads),
)
