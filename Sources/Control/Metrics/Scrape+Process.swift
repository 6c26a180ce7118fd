// SPDX-License-Identifier: Apache-2.0

/// What metrics tell of the daemon itself: who asks it, and what it takes.
extension Scrape {
  func addRequests(to out: inout Exposition) {
    out.counters(
      "sluice_events_total", "Events since the start.",
      EventLog.types.map { ([("type", $0)], events[$0] ?? 0) })
    out.family("sluice_event_subscribers", .gauge, "Clients that follow events.", [([], Double(followers))])
    out.counters(
      "sluice_api_requests_total", "Requests to the control API, by route and class of the answer's status.",
      requests.requests.sorted { $0.key < $1.key }.map { series, count in
        (labels(series.kind) + [("status", series.status)], count)
      })
    out.histograms(
      "sluice_api_request_duration_seconds", "From a request's head to the beginning of its answer.",
      requests.durations.sorted { $0.key < $1.key }.map { (labels($0.key), $0.value) })
  }

  private func labels(_ kind: RequestCounts.Kind) -> Exposition.Labels {
    [("route", kind.route), ("method", kind.method)]
  }

  func addProcess(to out: inout Exposition) {
    let gauges: [(name: String, help: String, value: (ProcessUsage) -> Double)] = [
      ("process_resident_memory_bytes", "Memory that is resident.", { Double($0.residentBytes) }),
      ("process_open_fds", "Open file descriptors.", { Double($0.openDescriptors) }),
      ("process_max_fds", "File descriptors that may be open.", { Double($0.maxDescriptors) }),
      ("process_start_time_seconds", "When the process started.", \.startedAt),
    ]
    out.family(
      "process_cpu_seconds_total", .counter, "Time on CPUs, for itself and in the kernel.",
      process.map { [([], $0.cpuSeconds)] } ?? [])
    for gauge in gauges {
      out.family(gauge.name, .gauge, gauge.help, process.map { [([], gauge.value($0))] } ?? [])
    }
  }
}
