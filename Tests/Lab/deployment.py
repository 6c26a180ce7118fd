# SPDX-License-Identifier: Apache-2.0
"""The network of README.md's deployment, and its steps followed in it.

    client ---- router ----+---- balancer 10.0.0.2
    198.51.100.2    10.0.0.1  |---- web1 10.0.0.11        one Ethernet, a bridge on the router
                           +---- web2 10.0.0.12

Every host is a network and a mount namespace with files of its own in /etc, /run, /usr/local, /var/lib, /home and
/sys/fs/bpf, so that commands run as README.md has them: by `alice`, an ordinary user who may use sudo. What a
namespace cannot have is stood in for, and by nothing else than this:

    README.md                        here
    commands on the build machine    not run: .build/release in alice's directory is the build under test
    systemctl, journalctl            unit_runner.py; with `machine` it is systemd itself
    a network card                   a veth, whose other end needs a native program for XDP_TX; senders write checksums
"""

import itertools
import os
import shlex
import subprocess
import time
from pathlib import Path

import readme
from lab import BIN, ROOT, run
from sizes import size

VIP = "192.0.2.10"
ADDRESSES = {"balancer": "10.0.0.2", "web1": "10.0.0.11", "web2": "10.0.0.12"}
BACKENDS = ("web1", "web2")
CONFIGURATION = "/etc/sluice/sluice.yaml"
# An ordinary user of each host.
USER = "alice"
HERE = Path(__file__).parent

_numbers = itertools.count()

# The directories of a host's own. /etc begins as this machine's.
_OWN_FILES = """
set -eu
mount -t tmpfs etc /mnt && cp -a /etc/. /mnt && mount --move /mnt /etc
for directory in /run /home /var/lib /usr/local/bin /usr/local/sbin /usr/local/share/man; do
  mount -t tmpfs -o mode=755 own $directory
done
mount -t bpf bpf /sys/fs/bpf
ln -s /proc/self/mounts /etc/mtab 2>/dev/null || true
"""

_USER = f"""
set -eu
id {USER} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}
echo "127.0.0.1 localhost $(uname -n)" >/etc/hosts
mkdir -p /home/{USER}/.build
ln -s {BIN} /home/{USER}/.build/release
ln -s {ROOT}/config /home/{USER}/config
ln -s {ROOT}/docs /home/{USER}/docs
"""


class Host:
    """A network and a mount namespace; None for both: this machine."""

    def __init__(self, name, namespace):
        self.name, self.namespace = name, namespace
        self._holder = None

    def begin(self, unit_runner):
        if self.namespace:
            run(["ip", "netns", "add", self.namespace])
            self._holder = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "--propagation", "private",
                 "bash", "-c", _OWN_FILES + "echo ready; exec sleep infinity"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            assert self._holder.stdout.readline().strip() == "ready", f"{self.name} did not come up"
            self.root("ip", "link", "set", "lo", "up")
        self.root("bash", "-c", _USER)
        if unit_runner:
            for name in ("systemctl", "journalctl"):
                self.root("ln", "-s", HERE / "unit_runner.py", f"/usr/local/bin/{name}")

    @property
    def pid(self):
        """A process in its network."""
        return self._holder.pid if self._holder else 1

    def end(self):
        if not self._holder:
            return
        for signal in ("-TERM", "-KILL"):
            pids = run(["ip", "netns", "pids", self.namespace], check=False).stdout.split()
            pids = [pid for pid in pids if signal == "-KILL" or int(pid) != self._holder.pid]
            if pids:
                run(["kill", signal, *pids], check=False)
                time.sleep(0.5)
        self._holder.communicate()
        run(["ip", "netns", "delete", self.namespace], check=False)

    def _inside(self, words):
        words = [str(word) for word in words]
        if not self._holder:
            return words
        return ["nsenter", f"--target={self._holder.pid}", "--net", "--mount", *words]

    def root(self, *words, **options):
        """Runs a command as root."""
        return run(self._inside(words), **{"timeout": 300, **options})

    def shell(self, text, as_root=False, **options):
        """Runs lines of README.md as their reader would: in a login shell, which ends at the first that fails."""
        text = "set -eo pipefail\n" + text
        words = ["bash", "-c", text] if as_root else ["runuser", "--login", USER, "--command", text]
        return self.root(*words, **options)

    def write(self, path, text):
        self.root("bash", "-c", f"cat >{shlex.quote(path)}", input=text)

    def read(self, path):
        return self.root("cat", path).stdout


class Deployment:
    """A context: the network is up inside it, with nothing of Sluice on any host. `machine`: this machine, which has
    systemd as process 1 and may be changed at will, is the balancer."""

    def __init__(self, machine=False):
        number = next(_numbers)
        self.name = f"d{os.getpid()}" + (f"x{number}" if number else "")
        self.machine = machine
        self.hosts = {
            name: Host(name, None if machine and name == "balancer" else f"sl-{self.name}-{name}")
            for name in ("client", "router", *ADDRESSES)}

    def __getattr__(self, name):
        if name in self.__dict__.get("hosts", {}):
            return self.hosts[name]
        raise AttributeError(name)

    def __enter__(self):
        try:
            for host in self.hosts.values():
                host.begin(unit_runner=host.name == "balancer" and not self.machine)
            self._join()
            for name in BACKENDS:
                self.serve(name)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for host in reversed(list(self.hosts.values())):
            host.end()

    # MARK: The network

    def _join(self):
        self.router.root("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.router.root("ip", "link", "add", "lan", "type", "bridge")
        self._leg("client", "client", 1500)
        self._address("router", "client", "198.51.100.1/24")
        self._address("client", "eth0", "198.51.100.2/24", gateway="198.51.100.1")
        for name, address in ADDRESSES.items():
            self._leg(name, name, 2000)
            self.router.root("ip", "link", "set", name, "master", "lan", "up")
            self._address(name, "eth0", f"{address}/24", gateway="10.0.0.1")
        self.router.root("ip", "link", "set", "lan", "mtu", 1500)
        self._address("router", "lan", "10.0.0.1/24")
        self.attach_pass()

    def attach_pass(self):
        """XDP_TX on veth needs a native program at the other end."""
        self.router.root(
            BIN / "sluice-backend", "attach-pass", "--interface", "balancer", "--pin", "/sys/fs/bpf/pass")

    def _leg(self, host, port, mtu):
        """eth0 of a host, with a card's usual MTU, at a port of the router."""
        self.router.root(
            "ip", "link", "add", port, "mtu", mtu, "type", "veth", "peer", "name", "eth0",
            "netns", self.hosts[host].pid, "mtu", 1500)
        self.router.root("ethtool", "-K", port, "tx", "off")
        self.hosts[host].root("ethtool", "-K", "eth0", "tx", "off")

    def _address(self, host, interface, address, gateway=None):
        self.hosts[host].root("ip", "address", "add", address, "dev", interface)
        self.hosts[host].root("ip", "link", "set", interface, "up")
        if gateway:
            self.hosts[host].root("ip", "route", "add", "default", "via", gateway)

    def serve(self, name):
        """nginx on port 80: /name, /upload."""
        text = run(["bash", "-c", f". {ROOT}/scripts/lib/web-server.sh; web_server_configuration {name} /run/web"])
        host = self.hosts[name]
        host.root("mkdir", "-p", "/run/web")
        host.write("/run/web/nginx.conf", text.stdout.replace("daemon off;\n", ""))
        host.root("truncate", "-s", "30M", "/run/web/big")
        # It goes to the background when it listens.
        host.root("nginx", "-e", "/run/web/error.log", "-g", "daemon on;", "-c", "/run/web/nginx.conf")

    # MARK: README.md

    def follow(self, kernel_tunnel=()):
        """Its steps, in order. `kernel_tunnel`: the backends that use the kernel's tunnel instead of ours."""
        for step in readme.steps():
            for block in step.blocks:
                if block.language == "yaml":
                    self.balancer.root("bash", "-c", f"cat >{CONFIGURATION}", input=block.text)
                    continue
                assert block.language == "sh" and block.where, f"step {step.title}: where does this run?\n{block.text}"
                for host in self._hosts_of(block.where, block.text, kernel_tunnel):
                    host.shell(block.text, as_root=block.where.endswith(", as root"))

    def _hosts_of(self, where, text, kernel_tunnel):
        match where.removeprefix("on ").removesuffix(", as root"):
            case "the build machine":
                return []
            case "the balancer":
                return [self.balancer]
            case "the router":
                return [self.router]
            case "the balancer and each backend":
                return [self.balancer, *(self.hosts[name] for name in BACKENDS)]
            case "each backend":
                def is_for(name):
                    ours, theirs = "sluice-backend up" in text, "modprobe ipip" in text
                    return not (ours and name in kernel_tunnel or theirs and name not in kernel_tunnel)

                return [self.hosts[name] for name in BACKENDS if is_for(name)]
        raise AssertionError(f"README.md: which host is {where!r}?")

    # MARK: What users do

    def cli(self, *words, **options):
        """The CLI as a member of the group that may use it."""
        return self.balancer.shell(shlex.join(["sluice", *map(str, words)]), **options)

    def get(self, path="/name", *options, seconds=5 * size("PATIENCE", 1), check=True):
        return self.client.root(
            "curl", "-sS", "--fail", "--max-time", seconds, *options, f"http://{VIP}{path}", check=check).stdout

    def answering(self, count=20):
        """The backends that answer so many connections, all of which must succeed."""
        return {self.get().strip() for _ in range(count)}

    def await_all_backends(self):
        """All connections succeed, and each backend has some of them."""
        until(lambda: self.answering() == set(BACKENDS), "each backend answers", 60)

    def upload(self, octets=3_000_000, seconds=20 * size("PATIENCE", 1)):
        """Whether it arrived whole."""
        done = self.client.root(
            "bash", "-c", f"head -c {octets} /dev/zero |"
            f" curl -sS --max-time {seconds} --data-binary @- http://{VIP}/upload", check=False)
        return done.stdout.strip().endswith(f"received {octets}")


def until(is_met, what, seconds=30):
    deadline = time.monotonic() + seconds * size("PATIENCE", 1)
    while not (met := is_met()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.1)
    return met
