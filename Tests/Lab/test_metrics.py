# SPDX-License-Identifier: Apache-2.0
"""Metrics of a running daemon: counters that rise, and series that are removed."""

import re
import time

from balancing import Balancer

CHECK = "{ type: tcp, port: 80, interval: 500ms, timeout: 300ms, rise: 1 }"
# Counted in the kernel, over restarts of the daemon.
KERNEL = ("sluice_packets_total", "sluice_bytes_total", "sluice_flow_events_total")


class Look:
    """The metrics at one moment."""

    def __init__(self, lab):
        text = lab.api("GET", "/metrics")[1]
        self.kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        self.values = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                self.values[series] = float(value)

    def __call__(self, name, **labels):
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(value for series, value in self.values.items() if re.match(rf"{name}[{{ ]|{name}$", series)
                   and wanted <= set(re.findall(r'\w+="[^"]*"', series)))

    def rises(self, series):
        name = series.split("{")[0]
        return self.kinds.get(name) == "counter" or re.sub("_(bucket|sum|count)$", "", name) in self.histograms()

    def histograms(self):
        return {name for name, kind in self.kinds.items() if kind == "histogram"}

    def fallen_since(self, before, names=None):
        return [series for series, value in before.values.items()
                if self.values.get(series, value) < value and self.rises(series)
                and (names is None or series.split("{")[0] in names)]


def test_counters_do_not_fall_while_backends_and_services_come_and_go():
    with Balancer() as lab:
        looks = [Look(lab)]

        def look():
            looks.append(Look(lab))
            fallen = looks[-1].fallen_since(looks[-2])
            assert not fallen, fallen
            return looks[-1]

        lab.edit_configuration("  web:\n    backends:", f"  web:\n    check: {CHECK}\n    backends:")
        lab.sluice("config", "reload", "--wait", "--force")
        deadline = time.monotonic() + 20
        while (now := Look(lab))("sluice_pool_backends", pool="web", state="up") < 3 or now(
                "sluice_check_probes_total", result="ok") < 6:
            assert time.monotonic() < deadline, lab.status()
            time.sleep(0.1)
        assert lab.requests(300, 8)["failed"] == 0
        now = look()
        assert now("sluice_config_reloads_total", result="applied") == 1
        assert now("sluice_probe_packets_total", verdict="sent") > 10
        assert now("sluice_check_probes_total", result="ok") == now("sluice_check_duration_seconds_count") > 3
        assert now("sluice_pool_backends", pool="web") == 3
        assert now("sluice_backend_health_changes_total", backend="b1") >= 0
        sent = now("sluice_service_packets_total", service="web", port="80")
        assert sent >= 3 * 300, sent
        assert now("sluice_backend_packets_total", pool="web") >= sent

        # Cut off, and another one gets its place among the counters.
        assert lab.api("DELETE", "/v1/pools/web/backends/b2?force=1")[0] == 200
        now = look()
        assert not [series for series in now.values if 'pool="web",backend="b2"' in series]
        assert now("sluice_service_packets_total", service="web", port="80") == sent
        assert now("sluice_overrides_active", kind="removed") == 1
        assert lab.api("POST", "/v1/pools/web/backends/b9", {"address": "10.0.12.2"})[0] == 200
        look()
        lab.requests(300, 8)
        assert look()("sluice_service_packets_total", service="web", port="80") >= sent + 3 * 300

        # The service that sent the packets goes.
        lab.edit_configuration("ports: [80/tcp, 8080/tcp], pool: web }", "ports: [8080/tcp], pool: web }")
        lab.sluice("config", "reload", "--wait", "--force")
        now = look()
        assert not [series for series in now.values if 'service="web"' in series and 'port="80"' in series]
        assert now("sluice_backend_packets_total", pool="web", backend="b1") > 300

        lab.edit_configuration("version: 1", "version: 1\nnonsense: 2")
        lab.sluice("config", "reload", "--wait", check=False)
        lab.api("PATCH", "/v1/pools/web/backends/b1", {"state": "drain"})
        now = look()
        assert now("sluice_config_reloads_total", result="invalid") == 1
        assert now("sluice_config_last_reload_successful") == 0
        assert now("sluice_backend_state_changes_total", pool="web", backend="b1") == 1
        assert now("sluice_pool_backends", pool="web", state="drain") == 1
        assert now("sluice_api_requests_total", method="PATCH", status="2xx") == 1
        assert now("process_open_fds") > 10 and now("process_cpu_seconds_total") > 0

        lab.edit_configuration("version: 1\nnonsense: 2", "version: 1")
        lab.kill_daemon()
        lab.start_daemon()
        after = Look(lab)
        assert after("process_start_time_seconds") > now("process_start_time_seconds")
        assert not after.fallen_since(now, KERNEL)
        began = after("sluice_backend_packets_total", pool="web", backend="b1")
        assert began < now("sluice_backend_packets_total", pool="web", backend="b1") / 2, "a restart begins anew"
