#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""systemctl and journalctl for one unit, where systemd is not process 1.

Runs the ExecStart of a service file in /etc/systemd/system by its user, with its groups, capabilities and directories,
and waits for its notification. It restarts nothing and confines nothing: that is tested with systemd itself.
"""

import configparser
import os
import pwd
import grp
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

RUN = Path("/run/unit-runner")


class Unit:
    def __init__(self, name):
        self.name = name.removesuffix(".service")
        path = Path(f"/etc/systemd/system/{self.name}.service")
        if not path.exists():
            sys.exit(f"Unit {self.name}.service not found.")
        parser = configparser.ConfigParser(interpolation=None, strict=True)
        parser.optionxform = str
        parser.read_string(path.read_text())
        self.service = parser["Service"]
        self.log, self.pid_file = RUN / f"{self.name}.log", RUN / f"{self.name}.pid"

    @property
    def pid(self):
        """Of the process, until its last thread has ended: the first may end before those that still hold files."""
        try:
            pid = int(self.pid_file.read_text())
            stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
        except (FileNotFoundError, ProcessLookupError):
            return None
        return pid if any(stat.rsplit(")", 1)[1].split()[0] not in "ZX" for stat in stats) else None

    def start(self):
        if self.pid:
            return
        RUN.mkdir(exist_ok=True)
        user, group = pwd.getpwnam(self.service["User"]), grp.getgrnam(self.service["Group"])
        groups = [grp.getgrnam(name).gr_gid for name in self.service["SupplementaryGroups"].split()]
        for base, key, owner in (("/run", "RuntimeDirectory", user), ("/var/lib", "StateDirectory", user)):
            directory = Path(base, self.service[key])
            directory.mkdir(exist_ok=True)
            os.chown(directory, owner.pw_uid, group.gr_gid)
        def capabilities(key):
            return ",".join("+" + name.removeprefix("CAP_").lower() for name in self.service[key].split())

        address = RUN / f"{self.name}.notify"
        address.unlink(missing_ok=True)
        notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notified.bind(str(address))
        os.chmod(address, 0o777)
        notified.settimeout(0.1)
        with open(self.log, "a") as log:
            process = subprocess.Popen(
                ["setpriv", f"--reuid={user.pw_uid}", f"--regid={group.gr_gid}",
                 "--groups=" + ",".join(map(str, [group.gr_gid, *groups])), "--no-new-privs",
                 f"--inh-caps=-all,{capabilities('AmbientCapabilities')}",
                 f"--ambient-caps=-all,{capabilities('AmbientCapabilities')}",
                 f"--bounding-set=-all,{capabilities('CapabilityBoundingSet')}",
                 *shlex.split(self.service["ExecStart"])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "NOTIFY_SOCKET": str(address)})
        self.pid_file.write_text(str(process.pid))
        while process.poll() is None:
            try:
                if "READY=1" in notified.recv(4096).decode().splitlines():
                    return
            except TimeoutError:
                pass
        sys.exit(f"Job for {self.name}.service failed: exit code {process.returncode}.\n{self.log.read_text()}")

    def stop(self):
        if pid := self.pid:
            os.kill(pid, signal.SIGTERM)
            while self.pid:
                time.sleep(0.02)

    def reload(self):
        if subprocess.run(shlex.split(self.service["ExecReload"])).returncode:
            sys.exit(f"Job for {self.name}.service failed.")


def main(words):
    options = {word for word in words if word.startswith("-")}
    verb, *names = [word for word in words if word not in options]
    match verb, options:
        case "daemon-reload", _:
            return
        case "enable", _ if "--now" in options:
            actions = ("start",)
        case "restart", _:
            actions = ("stop", "start")
        case "start" | "stop" | "reload", _:
            actions = (verb,)
        case _:
            sys.exit(f"unit_runner.py does not know: {' '.join(words)}")
    for name in names:
        for action in actions:
            getattr(Unit(name), action)()


if Path(sys.argv[0]).name == "journalctl":
    print(Unit(sys.argv[sys.argv.index("-u") + 1]).log.read_text(), end="")
else:
    main(sys.argv[1:])
