// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import Foundation
internal import LoadBalancing

/// Everything that metrics tell, read at one moment.
struct Scrape {
  struct Service {
    var row: ServiceRow
    var forwarded: Counter
  }

  struct Backend {
    var row: BackendRow
    var forwarded: Counter
    /// Of its state.
    var changes: Changes?
  }

  var status: Status
  var configurationLoadedAt: Date
  var overrides: [BackendOverride] = []
  var tally = Tally()
  var flowEvents = FlowEvents()
  var services: [Service] = []
  var backends: [Backend] = []
  var checks = Checks()
  var requests = RequestCounts.Counts()
  var events: [String: UInt64] = [:]
  var followers = 0
  var process: ProcessUsage?

  /// The same families always, also those of which there is no sample.
  var text: String {
    var out = Exposition()
    out.family("sluice_build_info", .gauge, "The version, as a label.", [([("version", status.version)], 1)])
    out.family("sluice_node_info", .gauge, "The balancer's name, as a label.", [([("node", status.node)], 1)])
    addConfiguration(to: &out)
    addDataplane(to: &out)
    addPools(to: &out)
    addServices(to: &out)
    addBackends(to: &out)
    addChecks(to: &out)
    addRequests(to: &out)
    addProcess(to: &out)
    return out.text
  }

  private func addConfiguration(to out: inout Exposition) {
    let configuration = status.configuration
    out.family(
      "sluice_config_generation", .gauge, "Generation of the desired state.",
      [([], Double(configuration.generation))])
    out.family(
      "sluice_config_last_reload_successful", .gauge, "Whether the last reload was applied.",
      [([], configuration.lastReloadOk ? 1 : 0)])
    out.family(
      "sluice_config_last_reload_success_timestamp_seconds", .gauge,
      "When the configuration in force was read: at the start, or by the last reload that was applied.",
      [([], configurationLoadedAt.timeIntervalSince1970)])
    out.counters(
      "sluice_config_reloads_total", "Reloads by what came of them.",
      Reconciler.ReloadOutcome.Result.allCases.map {
        ([("result", $0.rawValue)], tally.reloads[$0] ?? 0)
      })
    out.family(
      "sluice_config_restart_required", .gauge, "Whether a changed key waits for a restart.",
      [([], configuration.restartRequired.isEmpty ? 0 : 1)])
    let kinds = overrides.flatMap(\.kinds)
    out.family(
      "sluice_overrides_active", .gauge, "Runtime changes in force, by what they change of a backend.",
      BackendOverride.kinds.map { kind in ([("kind", kind)], Double(kinds.count { $0 == kind })) })
    out.family(
      "sluice_alarms", .gauge, "Alarms by code.",
      Dictionary(grouping: status.alarms, by: \.code).sorted { $0.key < $1.key }.map {
        // Many alarms of one code are shown as one.
        ([("code", $0.key)], Double($0.value.reduce(0) { $0 + $1.objects.count }))
      })
  }
}

extension BackendOverride {
  /// All that ``kinds`` of one may say.
  fileprivate static let kinds =
    ["added", "removed", "weight"] + AdministrativeState.allCases.map(\.rawValue)

  /// What it changes, of whatever value.
  fileprivate var kinds: [String] {
    let presence: String? =
      switch self.presence {
      case .asConfigured: nil
      case .added: "added"
      case .removed: "removed"
      }
    return [presence, weight.map { _ in "weight" }, state?.rawValue].compactMap(\.self)
  }
}
