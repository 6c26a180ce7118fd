// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Logging

/// How the configuration is read again.
extension Reconciler {
  /// Reads the configuration anew and brings the data plane to it. A bad file changes nothing, and neither does one
  /// that connections would not survive.
  /// - Parameter cause: who or what asks for it, for the record.
  func reload(because cause: String) async {
    let report = ConfigurationLoader.load(path: configurationPath)
    if let read = report.configuration, let refusal = try? refusal(of: read) {
      note(refused: refusal.message, by: Requester(identity: cause))
    } else {
      _ = await reload(report, allowsLostFlows: false, by: Requester(identity: cause))
    }
  }

  /// - Parameters:
  ///   - allowsLostFlows: also where slots would forget their flows.
  /// - Returns: the effect where the file is in force.
  func reload(
    _ report: ConfigurationReport, allowsLostFlows: Bool, by requester: Requester
  ) async -> (outcome: ReloadOutcome, effect: ChangeEffect?) {
    isReloadDue = false
    guard let read = report.configuration else {
      let first = report.errors.first.map { "\($0.file):\($0.line):\($0.column): \($0.message)" } ?? ""
      lastReload = ReloadOutcome(failure: "\(report.summary): \(first)", diagnostics: report.diagnostics)
      logger.error(
        "configuration refused; the running one stays in force",
        metadata: [
          "errors": "\(report.errors.count)", "first": "\(first)", "by": "\(requester.identity)",
        ])
      tellRefused(by: requester)
      return (lastReload, nil)
    }
    for warning in report.warnings { logger.warning("\(warning.file):\(warning.line): \(warning.message)") }
    let differences = differences(from: configuration, to: read)
    let restart = differences.filter(\.needsRestart).map(\.key)
    do {
      await resolveNextHops(for: read.desired.applying(overrides), patience: .milliseconds(500))
      // Formed after the wait, in which an operator may have changed something.
      let known = known(in: read.desired)
      let renames = installed.renames(to: read.desired)
      let proposal = try plan(
        desired(read.desired, overrides, known: known), allowsLostFlows: allowsLostFlows
      ).get()
      let asked = Provenance(by: requester.identity, at: Date().timeIntervalSince1970, reason: "reload")
      // As it is before the change.
      let effect = changeEffect(proposal.plan.effect, to: proposal.desired, differences)
      let before = (configuration.desired, overrides, restartRequired)
      try applyPlan(.success(proposal), asked: asked)
      configuration.desired = read.desired
      configurationLoadedAt = Moment()
      restartRequired = restart
      overrides = overrides.following(renames)
      overrides.removeAll { $0.isRedundant(in: read.desired) }
      saveOverrides()
      checkDesired(known: known)
      followHealth()
      let isSame = before == (configuration.desired, overrides, restartRequired)
      if !isSame { generation += 1 }
      lastReload = ReloadOutcome()
      logKeys(differences, asked)
      logger.notice(
        "configuration reloaded",
        metadata: [
          "generation": "\(generation)\(isSame ? ", nothing changed" : "")", "by": "\(requester.identity)",
        ])
      if !restart.isEmpty {
        logger.warning(
          "a restart of sluiced is required", metadata: ["keys": "\(restart.joined(separator: ", "))"])
      }
      events.append(
        type: "config", object: configurationPath, new: "reloaded, generation \(generation)",
        reason: restart.isEmpty ? nil : "restart required: \(restart.joined(separator: ", "))",
        by: requester.identity)
      return (lastReload, effect)
    } catch {
      note(failed: error, by: requester)
      return (lastReload, nil)
    }
  }

  /// Notes a reload that failed although its file is good. Where the kernel refused, it is tried again.
  func note(failed error: any Error, by requester: Requester) {
    lastReload = ReloadOutcome(failure: "\(error)", error: error)
    isReloadDue = error is DataplaneError
    logger.error(
      "configuration not applied", metadata: ["error": "\(error)", "by": "\(requester.identity)"])
    tellRefused(by: requester)
  }

  /// Logs the keys that differ. Changes of backends are logged with their events.
  private func logKeys(_ differences: [KeyDifference], _ asked: Provenance) {
    log(
      differences.filter { !$0.object.hasPrefix("backend ") }.map { difference in
        NotedChange(
          difference.object.isEmpty ? difference.key : "\(difference.object) \(difference.key)",
          old: difference.old ?? "not set",
          new: (difference.new ?? "not set") + (difference.needsRestart ? " (after a restart)" : ""))
      }, asked)
  }

  func note(refused loss: String, by requester: Requester) {
    isReloadDue = false
    lastReload = ReloadOutcome(failure: loss)
    logger.error(
      "configuration not applied; the running one stays in force",
      metadata: ["reason": "\(loss)", "by": "\(requester.identity)"])
    tellRefused(by: requester)
  }

  private func tellRefused(by requester: Requester) {
    events.append(
      type: "config", object: configurationPath, new: "refused", reason: lastReload.failure,
      by: requester.identity)
    _ = alarms()
  }
}
