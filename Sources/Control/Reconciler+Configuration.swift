// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Logging

/// How the configuration is read again.
extension Reconciler {
  /// Reads the configuration anew and brings the data plane to it. A bad file changes nothing, and neither does one
  /// that connections would not survive.
  func reload() async {
    let report = ConfigurationLoader.load(path: configurationPath)
    if let read = report.configuration, let loss = try? losses(in: read) {
      note(refused: loss, by: nil)
    } else {
      _ = await reload(report, allowsLostFlows: false, by: nil)
    }
  }

  /// - Parameters:
  ///   - allowsLostFlows: also where slots would forget their flows.
  ///   - requester: nil: SIGHUP, or the daemon that tries again.
  func reload(
    _ report: ConfigurationReport, allowsLostFlows: Bool, by requester: Requester?
  ) async -> (outcome: ReloadOutcome, effect: Effect?) {
    isReloadDue = false
    guard let read = report.configuration else {
      let first = report.errors.first.map { "\($0.file):\($0.line):\($0.column): \($0.message)" } ?? ""
      lastReload = ReloadOutcome(failure: "\(report.summary): \(first)", diagnostics: report.diagnostics)
      logger.error(
        "configuration refused; the running one stays in force",
        metadata: ["errors": "\(report.errors.count)", "first": "\(first)"])
      tellRefused(by: requester)
      return (lastReload, nil)
    }
    for warning in report.warnings { logger.warning("\(warning.file):\(warning.line): \(warning.message)") }
    let restart = read.node.differences(from: configuration.node)
    do {
      await resolveNextHops(for: read.desired.applying(overrides), patience: .milliseconds(500))
      // Formed after the wait, in which an operator may have changed something.
      let known = known(in: read.desired)
      let renames = installed.renames(to: read.desired)
      let proposal = try plan(
        desired(read.desired, overrides, known: known), allowsLostFlows: allowsLostFlows
      ).get()
      let asked = requester.map {
        Provenance(by: $0.identity, at: Date().timeIntervalSince1970, reason: "reload")
      }
      try applyPlan(.success(proposal), asked: asked)
      configuration.desired = read.desired
      configurationLoadedAt = Moment()
      restartRequired = restart
      overrides = overrides.following(renames)
      overrides.removeAll { $0.isRedundant(in: read.desired) }
      saveOverrides()
      checkDesired(known: known)
      followHealth()
      generation += 1
      lastReload = ReloadOutcome()
      logger.notice(
        "configuration reloaded",
        metadata: ["generation": "\(generation)", "restart": "\(restart.joined(separator: ","))"])
      events.append(
        type: "config", object: configurationPath, new: "reloaded, generation \(generation)",
        reason: restart.isEmpty ? nil : "restart required: \(restart.joined(separator: ", "))",
        by: requester?.identity)
      return (lastReload, proposal.plan.effect)
    } catch {
      lastReload = ReloadOutcome(failure: "\(error)", error: error)
      isReloadDue = error is DataplaneError
      logger.error("configuration not applied", metadata: ["error": "\(error)"])
      tellRefused(by: requester)
      return (lastReload, nil)
    }
  }

  /// Why connections would not survive a configuration, with the cure; nil where they would.
  func losses(in read: Configuration) throws -> String? {
    var losses: [String] = []
    do {
      _ = try plan(desired(read.desired, overrides)).get()
    } catch let error as PlanError {
      if case .losesFlows(let changes) = error { losses = changes.map(\.description) }
    }
    if read.node.hashSeed != configuration.node.hashSeed {
      losses.append(
        "hash_seed: a restart would give every flow another slot, and connections would break; "
          + "the start will need `sluiced --force`, too")
    }
    return losses.isEmpty
      ? nil
      : losses.joined(separator: "; ") + "; take it back, or accept it: sluice config reload --force"
  }

  func note(refused loss: String, by requester: Requester?) {
    isReloadDue = false
    lastReload = ReloadOutcome(failure: loss)
    logger.error(
      "configuration not applied; the running one stays in force", metadata: ["reason": "\(loss)"])
    tellRefused(by: requester)
  }

  private func tellRefused(by requester: Requester?) {
    events.append(
      type: "config", object: configurationPath, new: "refused", reason: lastReload.failure,
      by: requester?.identity)
    _ = alarms()
  }
}
