// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Logging

/// How the configuration is read again.
extension Reconciler {
  /// Reads the configuration anew and brings the data plane to it. A bad file changes nothing.
  @discardableResult
  func reload() async -> (outcome: ReloadOutcome, effect: Effect?) {
    isReloadDue = false
    let report = ConfigurationLoader.load(path: configurationPath)
    guard let read = report.configuration else {
      let first = report.errors.first.map { "\($0.file):\($0.line):\($0.column): \($0.message)" } ?? ""
      lastReload = ReloadOutcome(failure: "\(report.summary): \(first)", diagnostics: report.diagnostics)
      logger.error(
        "configuration refused; the running one stays in force",
        metadata: ["errors": "\(report.errors.count)", "first": "\(first)"])
      return (lastReload, nil)
    }
    for warning in report.warnings { logger.warning("\(warning.file):\(warning.line): \(warning.message)") }
    let restart = read.node.differences(from: configuration.node)
    do {
      await resolveNextHops(for: read.desired.applying(overrides), patience: .milliseconds(500))
      // Formed after the wait, in which an operator may have changed something.
      let plan = try plan(read.desired.applying(overrides)).get()
      try applyPlan(.success(plan))
      configuration.desired = read.desired
      configurationLoadedAt = Date()
      restartRequired = restart
      overrides.removeAll { $0.isRedundant(in: read.desired) }
      saveOverrides()
      generation += 1
      lastReload = ReloadOutcome()
      logger.notice(
        "configuration reloaded",
        metadata: ["generation": "\(generation)", "restart": "\(restart.joined(separator: ","))"])
      return (lastReload, plan.effect)
    } catch {
      lastReload = ReloadOutcome(failure: "\(error)")
      isReloadDue = error is DataplaneError
      logger.error("configuration not applied", metadata: ["error": "\(error)"])
      return (lastReload, nil)
    }
  }
}
