# SPDX-License-Identifier: Apache-2.0
"""Real connections by every encapsulation, for all four combinations of families, and checks that travel as they do."""

import json
import os

from balancing import CROSS4, CROSS6, PYTHON, download
from checked import Checked, check, checked_settings
from lab import VIP4, VIP6, Lab
from results import report

FAMILIES = {"4 in 4": VIP4, "6 in 4": VIP6, "4 in 6": CROSS4, "6 in 6": CROSS6}
ENCAPSULATIONS = {
    "ipip": {"type": "ipip"},
    "gue variant 1": {"type": "gue"},
    "gue variant 0": {"type": "gue", "variant": 0},
    "gue, another port": {"type": "gue", "port": 7000},
    "fou": {"type": "fou"},
    "fou, other ports": {"type": "fou", "port": 7001, "port6": 7002},
    "gre": {"type": "gre"},
}
TAKEN = {
    "gue, another port": "gue:7000", "fou, other ports": "fou:7001,fou:7002", "gue variant 1": "gue",
    "gue variant 0": "gue"}
HOSTS = ("b1", "b2")
MEGABYTE = 1 << 20
SOURCES = {"source4": "172.16.0.0/16", "source6": "fd00:172::/64"}


def wanted_settings(drain="2h"):
    """`drain`: how long backends are kept of which another encapsulation makes new ones."""
    wanted = checked_settings(HOSTS, check("tcp", port=80, timeout="2s"), drain={"timeout": drain, "quiet": "1s"})
    pool = wanted["pools"]["web"]
    six = [{"name": host, "address": f"fd00:0:0:1{host[1:]}::2"} for host in HOSTS]
    wanted["pools"]["web6"] = pool | {"backends": six}
    wanted["services"] = [
        {"name": "web", "vips": [VIP4, VIP6], "ports": ["80/tcp"], "pool": "web"},
        {"name": "cross", "vips": [CROSS4, CROSS6], "ports": ["80/tcp"], "pool": "web6"}]
    return wanted


def change(lab, encapsulation):
    wanted = lab.settings
    wanted["defaults"]["encapsulation"] = SOURCES | encapsulation
    lab.reload(wanted)


def take(lab, mode, encapsulation):
    """The backends decapsulate this and nothing else."""
    for host in HOSTS:
        lab.backend(
            host, "up", "--mode", mode, "--vip", ",".join(FAMILIES.values()), "--encapsulation", encapsulation,
            "--allow", "10.0.2.0/24,172.16.0.0/16,fd00:0:0:2::/64,fd00:172::/64")


def carries(lab, name, upload):
    for family, vip in FAMILIES.items():
        result = lab.requests(20, 5, vip)
        assert result["failed"] == 0 and len(result["by"]) == 2, (name, family, result)
        code, down, *_ = download(lab, vip, "/big").stdout.split()
        assert (code, int(down)) == ("200", 30 * MEGABYTE), (name, family, code, down)
        host = f"[{vip}]" if ":" in vip else vip
        answer = lab.on(
            "client", "curl", "-sS", "--fail", "--max-time", "60", "-T", upload, f"http://{host}/upload",
            timeout=70).stdout
        assert answer.endswith(f"received {10 * MEGABYTE}\n"), (name, family, answer)


def every_encapsulation(mode):
    with Checked(wanted_settings(drain="1s"), len(HOSTS), "--mode", mode) as lab:
        upload = lab.run_directory / "upload"
        upload.write_bytes(os.urandom(10 * MEGABYTE))
        for name, encapsulation in ENCAPSULATIONS.items():
            take(lab, mode, TAKEN.get(name, encapsulation["type"]))
            change(lab, encapsulation)
            # Two pools of two backends, two VIPs each; the backends before are gone.
            lab.await_checks(lambda rows: len(rows) == 8 and all(row["state"] == "up" for row in rows), 30)
            for pool in ("web", "web6"):
                told = {step["step"]: step["detail"] for step in lab.run_check(pool, "b1")["steps"]}
                assert told["encapsulation"].startswith(encapsulation["type"]), told
            before = {host: lab.verdicts(host) for host in HOSTS}
            carries(lab, name, upload)
            rises = {host: lab.verdicts(host)["decapsulated"] - before[host]["decapsulated"] for host in HOSTS}
            assert min(rises.values()) > 20 and sum(rises.values()) > 5000, (name, rises)
            print(f"  {mode}, {name}: 80 requests, 4 x 30 MB down, 4 x 10 MB up; decapsulated {rises}")


def test_every_encapsulation_carries_all_families_to_xdp():
    every_encapsulation("xdp")


def test_every_encapsulation_carries_all_families_to_tc():
    every_encapsulation("tc")


def test_check_run_names_the_tunnel_where_a_backend_does_not_take_the_encapsulation():
    with Checked(wanted_settings(drain="1s"), len(HOSTS)) as lab:
        take(lab, "xdp", "ipip")
        for name in ("gue variant 1", "gue variant 0", "fou", "gre"):
            change(lab, ENCAPSULATIONS[name])
            lab.await_checks(lambda rows: len(rows) == 8 and all(row["state"] == "down" for row in rows), 30)
            # Both headers are IPv4: Linux drops UDP over IPv6 without checksum silently if no socket takes it.
            told = lab.run_check("web", "b1")
            assert told["layer"] == "tunnel", (name, told)
            print(f"  {name}: {told['conclusion']}")


def test_doctor_finds_a_socket_on_a_port_of_the_tunnels_and_status_names_what_is_taken():
    with Lab() as lab:
        take(lab, "xdp", "gre,gue,fou:7000")
        status = json.loads(lab.backend("b1", "status", "-o", "json").stdout)
        assert status["encapsulations"] == ["gre", "gue:6080", "fou:7000"], status

        def ports():
            checks = json.loads(lab.backend("b1", "doctor", "-o", "json", check=False).stdout)
            return next(check for check in checks if check["subject"].startswith("UDP ports"))

        assert ports()["result"] == "OK", ports()
        script = "import socket,sys\ns=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM);s.bind(('::',7000))\n"
        script += "print('ready',flush=True);sys.stdin.read()"
        process = lab.start("b1", PYTHON, "-c", script)
        assert process.stdout.readline().strip() == "ready"
        assert ports()["result"] == "WARN" and "7000" in ports()["observed"], ports()
        refused = lab.backend(
            "b1", "up", "--vip", VIP4, "--allow", "10.0.2.0/24", "--encapsulation", "gue:7000,fou:7000", check=False)
        assert refused.returncode == 64 and "7000" in refused.stderr, refused


def test_a_change_of_the_encapsulation_leaves_connections_alone():
    with Checked(wanted_settings(), len(HOSTS), "--encapsulation", "ipip,gue,fou,gre") as lab:
        lab.await_checks(lambda rows: all(row["state"] == "up" for row in rows))
        downloads = [
            lab.start(
                "client", "curl", "-sS", "--fail", "--max-time", "120", "--limit-rate", "6M", "-o", "/dev/null", "-w",
                "%{http_code} %{size_download}", f"http://{VIP4}/big") for _ in range(4)]
        for name in ("gue variant 0", "gre", "fou"):
            change(lab, ENCAPSULATIONS[name])
            result = lab.requests(50, 5)
            assert result["failed"] == 0, (name, result)
        whole = [process.communicate(timeout=120)[0].split() == ["200", str(30 * MEGABYTE)] for process in downloads]
    report("4 downloads while their pool's encapsulation changes three times", f"{whole.count(True)} whole", "4 whole")
    assert all(whole), whole


def test_uploads_over_links_too_narrow_for_each_encapsulation_learn_the_mtu():
    with Checked(wanted_settings(), len(HOSTS), "--mtu", "1500", "--encapsulation", "ipip,gue,fou,gre") as lab:
        body = lab.run_directory / "body"
        body.write_bytes(os.urandom(3 * MEGABYTE))
        for name in ("gue variant 1", "gue variant 0", "gre"):
            change(lab, ENCAPSULATIONS[name])
            # What earlier answers told.
            lab.on("client", "ip", "route", "flush", "cache")
            lab.on("client", "ip", "-6", "route", "flush", "cache")
            before = lab.verdict_counts()["answered_too_big"]
            for vip in FAMILIES.values():
                host = f"[{vip}]" if ":" in vip else vip
                answer = lab.on(
                    "client", "curl", "-sS", "--fail", "--max-time", "30", "-T", body, f"http://{host}/upload",
                    timeout=40).stdout
                assert answer.endswith(f"received {3 * MEGABYTE}\n"), (name, vip, answer)
            answered = lab.verdict_counts()["answered_too_big"] - before
            assert answered >= 4, (name, answered)
            print(f"  {name}: 4 uploads of 3 MB, {answered} answers with the MTU that fits")
