// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// Metrics of the daemon itself: its configuration, its alarms, its clients and what it takes.
extension Metrics {
  struct Daemon: Sendable {
    var version: String
    var node: String
    var generation: Int
    var configurationLoadedAt: Date
    var isReloadSuccessful = true
    var reloads: [ReloadOutcome.Result: UInt64] = [:]
    var isRestartRequired = false
    var overrides: [BackendOverride] = []
    /// Those in force; of a kind that many objects have, one.
    var alarms: [Alarm] = []
  }

  struct APIFacts: Sendable {
    var requests = RequestCounts.Counts()
    /// Events since the start, by type.
    var events: [String: UInt64] = [:]
    var followers = 0
    /// Log lines that were dropped because they were not read in time.
    var droppedLogLines: UInt64 = 0
  }

  func addDaemon(to out: inout Exposition) {
    out.family("sluice_build_info", .gauge, "The version, as a label.", [([("version", daemon.version)], 1)])
    out.family("sluice_node_info", .gauge, "The balancer's name, as a label.", [([("node", daemon.node)], 1)])
    out.family(
      "sluice_config_generation", .gauge, "Generation of the desired state.",
      [([], Double(daemon.generation))])
    out.family(
      "sluice_config_last_reload_successful", .gauge, "Whether the last reload was applied.",
      [([], daemon.isReloadSuccessful ? 1 : 0)])
    out.family(
      "sluice_config_last_reload_success_timestamp_seconds", .gauge,
      "When the configuration in force was read: at the start, or by the last reload that was applied.",
      [([], daemon.configurationLoadedAt.timeIntervalSince1970)])
    out.counters(
      "sluice_config_reloads_total", "Reloads by what came of them.",
      ReloadOutcome.Result.allCases.map { ([("result", $0.rawValue)], daemon.reloads[$0] ?? 0) })
    out.family(
      "sluice_config_restart_required", .gauge, "Whether a changed key waits for a restart.",
      [([], daemon.isRestartRequired ? 1 : 0)])
    let kinds = daemon.overrides.flatMap(\.changedProperties)
    out.family(
      "sluice_overrides_active", .gauge, "Runtime changes in force, by what they change of a backend.",
      BackendOverride.properties.map { kind in ([("kind", kind)], Double(kinds.count { $0 == kind })) })
    out.family(
      "sluice_alarms", .gauge, "Alarms by code.",
      Dictionary(grouping: daemon.alarms, by: \.code.rawValue).sorted { $0.key < $1.key }.map {
        // Many alarms of one code are shown as one.
        ([("code", $0.key)], Double($0.value.reduce(0) { $0 + $1.objects.count }))
      })
  }

  func addRequests(to out: inout Exposition) {
    out.counters(
      "sluice_events_total", "Events since the start.",
      EventLog.types.map { ([("type", $0)], api.events[$0] ?? 0) })
    out.family(
      "sluice_event_subscribers", .gauge, "Clients that follow events.", [([], Double(api.followers))])
    out.counters(
      "sluice_api_requests_total", "Requests to the control API, by route and class of the answer's status.",
      api.requests.requests.sorted { $0.key < $1.key }.map { series, count in
        (labels(series.kind) + [("status", series.status)], count)
      })
    out.histograms(
      "sluice_api_request_duration_seconds", "From a request's head to the beginning of its answer.",
      api.requests.durations.sorted { $0.key < $1.key }.map { (labels($0.key), $0.value) })
  }

  private func labels(_ kind: RequestCounts.Kind) -> Exposition.Labels {
    [("route", kind.route), ("method", kind.method)]
  }

  func addProcess(to out: inout Exposition) {
    out.counters(
      "sluice_log_lines_dropped_total", "Lines of the log that nobody read in time.",
      [([], api.droppedLogLines)])
    let gauges: [(name: String, help: String, value: (ProcessUsage) -> Double)] = [
      ("process_resident_memory_bytes", "Memory that is resident.", { Double($0.residentBytes) }),
      ("process_open_fds", "Open file descriptors.", { Double($0.openDescriptors) }),
      ("process_max_fds", "File descriptors that may be open.", { Double($0.maxDescriptors) }),
      ("process_start_time_seconds", "When the process started.", \.startedAt),
    ]
    out.family(
      "process_cpu_seconds_total", .counter, "Time on CPUs, for itself and in the kernel.",
      usage.map { [([], $0.cpuSeconds)] } ?? [])
    for gauge in gauges {
      out.family(gauge.name, .gauge, gauge.help, usage.map { [([], gauge.value($0))] } ?? [])
    }
  }
}

extension BackendOverride {
  /// Everything that ``changedProperties`` of an override may name.
  fileprivate static let properties =
    ["added", "removed", "weight"] + AdministrativeState.allCases.map(\.rawValue)

  /// What it changes, whatever the value.
  fileprivate var changedProperties: [String] {
    let presence: String? =
      switch self.presence {
      case .asConfigured: nil
      case .added: "added"
      case .removed: "removed"
      }
    return [presence, weight.map { _ in "weight" }, state?.rawValue].compactMap(\.self)
  }
}
