# SPDX-License-Identifier: Apache-2.0
"""A backend's servers: nginx with and without TLS, dnsmasq on UDP and TCP, and those of planted_server.py."""

import time
from pathlib import Path

from lab import VIP4, VIP6

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
VIPS = (VIP4, VIP6)
BODY = "all is well"
DNS_NAME, DNS_ADDRESS = "health.example.com", "192.0.2.1"

PLAIN, HTTP, HTTPS, DNS, ECHO = 8081, 8082, 8443, 53, 9001


def nginx_configuration(directory, certificate, key, status):
    listeners = "".join(
        f"listen {address}{port}{more};" for port, more in ((PLAIN, ""), (HTTP, ""), (HTTPS, " ssl"))
        for address in ("", "[::]:"))
    return f"""
daemon off;
user root;
worker_processes 1;
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body-temp;
  proxy_temp_path {directory}/proxy-temp;
  fastcgi_temp_path {directory}/fastcgi-temp;
  uwsgi_temp_path {directory}/uwsgi-temp;
  scgi_temp_path {directory}/scgi-temp;
  default_type text/plain;
  large_client_header_buffers 4 16k;
  server {{
    {listeners}
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location = /healthz {{ return {status} "{BODY}\\n"; }}
  }}
}}
"""


class Servers:
    """The servers of one backend: `web`, `dns`, `echo`, or a faulty replacement."""

    def __init__(self, lab, host, authority_files):
        self._lab, self.host = lab, host
        self._files = authority_files
        self._directory = lab.run_directory / f"{host}-servers"
        self._directory.mkdir(exist_ok=True)
        self._running = {}

    def start_all(self):
        self.start_web()
        self.start_dns()
        self.plant("echo", f"{ECHO}/udp:pong")

    def start_web(self, files=None, status=200):
        certificate, key = files or self._files
        path = self._directory / "nginx.conf"
        path.write_text(nginx_configuration(self._directory, certificate, key, status))
        self._run("web", "nginx", "-e", self._directory / "error.log", "-c", path)
        self._await_listeners("tcp", PLAIN, HTTP, HTTPS)

    def start_dns(self, knows=True):
        """Without its records it answers that there is no such name."""
        record = [f"--host-record={DNS_NAME},{DNS_ADDRESS}"] if knows else []
        # Bound to the VIPs: else it refuses connections that come in by a tunnel device without an address.
        self._run(
            "dns", "dnsmasq", "--bind-interfaces", *(f"--listen-address={vip}" for vip in VIPS), "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file=",
            "--no-resolv", "--no-hosts", "--log-facility=-", "--local=/example.com/", *record)
        self._await_listeners("tcp", DNS)

    def plant(self, name, *specifications):
        """Runs servers of planted_server.py under a name."""
        process = self._lab.start(
            self.host, PYTHON, HERE / "planted_server.py", ",".join(VIPS), ",".join(map(str, self._files)),
            *specifications)
        assert process.stdout.readline().strip() == "ready", process.stderr.read()
        self._running[name] = process

    def stop(self, *names):
        for name in names or list(self._running):
            process = self._running.pop(name)
            process.terminate()
            process.communicate(timeout=10)

    def _run(self, name, *command):
        assert name not in self._running, f"{name} runs on {self.host}"
        self._running[name] = self._lab.start_logged(self.host, self._directory / f"{name}.log", *command)

    def _await_listeners(self, transport, *ports):
        deadline = time.monotonic() + 10
        wanted = {str(port) for port in ports}
        while True:
            lines = self._lab.on(self.host, "ss", "-Hln", f"--{transport}").stdout.splitlines()
            if wanted <= {line.split()[3].rsplit(":", 1)[1] for line in lines}:
                return
            assert time.monotonic() < deadline, f"{self.host}: no listener on {ports}; {self._directory}/*.log"
            time.sleep(0.02)
