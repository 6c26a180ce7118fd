// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import HTTPTypes
internal import LoadBalancing

/// What the control API does with configurations: it judges them, foretells what they would do, and reads the daemon's
/// own again.
extension Reconciler {
  func reloadConfiguration(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply {
    let report = ConfigurationLoader.load(path: configurationPath)
    if terms.dryRun || !terms.force, let read = report.configuration {
      if !terms.force, let refusal = try refusal(of: read, by: requester, terms) {
        var error = ControlError.refused(refusal.code, refusal.message)
        error.body.effect = try foretell(read)
        if !terms.dryRun { note(refused: refusal.message, by: requester) }
        throw error
      }
      if terms.dryRun {
        return ChangeReply(
          generation: generation, dryRun: true, effect: try foretell(read),
          restartRequired: restarts(for: read))
      }
    }
    if terms.dryRun { throw configurationError(report) }
    let (outcome, effect) = await reload(report, allowsLostFlows: terms.force, by: requester)
    guard outcome.isSuccessful else { throw failure(outcome) }
    return ChangeReply(
      generation: generation, dryRun: false,
      effect: effect ?? ChangeEffect(changes: [], pools: [], warnings: []), notSaved: unsavedChange,
      restartRequired: restartRequired)
  }

  private func refusal(
    of read: Configuration, by requester: Requester, _ terms: ChangeTerms
  ) throws -> ReloadRefusal? {
    do {
      return try refusal(of: read)
    } catch {
      if !terms.dryRun { note(failed: error, by: requester) }
      throw error
    }
  }

  /// What a reload of a configuration would do. Counts flows anew.
  private func foretell(_ read: Configuration) throws -> ChangeEffect {
    try foretell(
      desired(read.desired, overrides), differences: differences(from: configuration, to: read))
  }

  /// Keys whose values would be in force only after a restart.
  private func restarts(for read: Configuration) -> [String] {
    differences(from: configuration, to: read).filter(\.needsRestart).map(\.key)
  }

  private func failure(_ outcome: ReloadOutcome) -> any Error {
    // The diagnostics tell the mistakes; the log's line has the first one, too.
    guard outcome.diagnostics.isEmpty else {
      return configurationError(ConfigurationReport(configuration: nil, diagnostics: outcome.diagnostics))
    }
    if let error = outcome.error as? PlanError { return refusal(error) }
    return ControlError(.internalServerError, "failed", outcome.failure ?? "")
  }

  /// Whether a configuration can be used.
  func checkConfiguration(_ candidate: String?) throws -> ConfigurationCheck {
    let report = ConfigurationLoader.load(path: configurationPath, candidate: candidate)
    guard let read = report.configuration else { throw configurationError(report) }
    return ConfigurationCheck(
      services: read.desired.services.count, pools: read.desired.pools.count,
      warnings: report.warnings.map { ConfigurationDiagnostic($0) })
  }

  /// What a reload would do now.
  func diffConfiguration(_ candidate: String?) throws -> ConfigurationDiff {
    let report = ConfigurationLoader.load(path: configurationPath, candidate: candidate)
    guard let read = report.configuration else { throw configurationError(report) }
    var effect: ChangeEffect
    do {
      effect = try foretell(read)
      if let refusal = try refusal(of: read) { effect.warnings.append(refusal.message) }
    } catch let error as PlanError {
      throw refusal(error)
    }
    return ConfigurationDiff(
      reload: effect,
      drift: overrides.map {
        let why = $0.provenance.reason.map { ": \($0)" } ?? ""
        return
          "\($0.pool)/\($0.backend): \($0.changes.joined(separator: ", ")) (by \($0.provenance.by)\(why))"
      },
      restartRequired: restarts(for: read))
  }

  private func configurationError(_ report: ConfigurationReport) -> ControlError {
    var error = ControlError(
      .unprocessableContent, "configuration-invalid",
      "\(report.summary); the running configuration is unchanged")
    error.body.diagnostics = report.diagnostics.map { ConfigurationDiagnostic($0) }
    return error
  }
}
