// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing

/// A reload: the files are read in its turn, so that the newest file is in force when it is done. A bad file changes
/// nothing, and neither does one that connections would not survive.
extension ControlState {
  /// The configuration was read.
  mutating func loaded(_ report: ConfigurationReport, _ turn: Turn) {
    guard var change = changes.current else { return }
    guard let read = report.configuration else {
      if !change.terms.dryRun { refuseFiles(report, by: change.requester, turn) }
      return finish(.failure(ControlError.invalidConfiguration(report)))
    }
    // An operator forces what the files say then, not what others write into them later.
    if let forced = change.forcedFor, forced != read {
      change.terms.force = false
      changes.current = change
    }
    if !change.terms.dryRun {
      emit(report.warnings.map { .line(.warning, "\($0.file):\($0.line): \($0.message)") })
    }
    decide(report: report, counted: change.terms.force && !change.terms.dryRun ? [] : nil, turn)
  }

  func decision(
    on report: ConfigurationReport, _ change: Change, _ counted: [ForwardedRun]?, _ turn: Turn
  ) throws -> Decision {
    guard let read = report.configuration else { throw ControlError.invalidConfiguration(report) }
    guard let counted else { return .measure }
    let differences = differences(from: view.configuration.inForce, to: read)
    var target = ChangeTarget(
      configured: read.desired, overrides: view.overrides.inForce,
      asked: provenance(change, "reload", turn), allowsLostFlows: change.terms.force,
      reload: ChangeTarget.Reload(configuration: read, differences: differences))
    if !change.terms.force {
      let desired = view.foretell(target.configured, target.overrides, in: turn).desired
      let planned = Result { () throws(PlanError) in
        try view.plan(to: desired, in: turn, tickLength: start.tickLength)
      }
      target.prepared = try? planned.get()
      if let refusal = view.refusal(of: read, counted: counted, planned: planned) {
        var error = ControlError.refused(refusal.code, refusal.message)
        error.body.effect = try effect(of: target, turn)
        throw error
      }
    }
    guard change.terms.dryRun else {
      target.effect = nil
      return .carryOut(target)
    }
    return .reply(
      ChangeReply(
        generation: view.configuration.generation, dryRun: true, effect: try effect(of: target, turn),
        restartRequired: target.reload?.restartRequired ?? []))
  }

  /// A reload was decided against: connections would not survive it.
  mutating func noteRefusal(_ error: any Error, of change: Change, _ turn: Turn) {
    guard case .reload = change.request, !change.terms.dryRun else { return }
    guard let refusal = error as? ControlError else { return reloadFailed(error, turn) }
    view.configuration.lastReload = ReloadOutcome(at: turn.now, failure: refusal.body.message)
    emit(
      .notice(
        .line(
          .error, "configuration not applied; the running one stays in force",
          ["reason": refusal.body.message, "by": change.requester.identity])))
    reportRefusedReload(by: change.requester, turn)
  }

  private mutating func refuseFiles(_ report: ConfigurationReport, by requester: Requester, _ turn: Turn) {
    let first = report.errors.first.map { "\($0.file):\($0.line):\($0.column): \($0.message)" } ?? ""
    view.configuration.lastReload = ReloadOutcome(
      at: turn.now, failure: "\(report.summary): \(first)", diagnostics: report.diagnostics)
    emit(
      .notice(
        .line(
          .error, "configuration refused; the running one stays in force",
          ["errors": "\(report.errors.count)", "first": first, "by": requester.identity])))
    reportRefusedReload(by: requester, turn)
  }

  /// A reload failed although its file is good. Where the kernel refused, it is tried again.
  /// - Parameter forced: what was to be put in force whatever breaks; nil: connections must survive.
  mutating func reloadFailed(_ error: any Error, forced: Configuration? = nil, _ turn: Turn) {
    guard let requester = changes.current?.requester else { return }
    view.configuration.lastReload = ReloadOutcome(at: turn.now, failure: "\(error)", error: error)
    if error is DataplaneError { changes.dueReload = ChangeQueue.DueReload(forced: forced) }
    emit(
      .notice(
        .line(.error, "configuration not applied", ["error": "\(error)", "by": requester.identity])))
    reportRefusedReload(by: requester, turn)
  }

  private mutating func reportRefusedReload(by requester: Requester, _ turn: Turn) {
    view.history.noteReload(view.configuration.lastReload)
    emit(
      .notice(
        .event(
          "config", view.process.configurationPath, new: "refused",
          reason: view.configuration.lastReload.failure, by: requester.identity)))
    updateAlarms(turn)
  }

  mutating func noteReloaded(
    _ reload: ChangeTarget.Reload, isSame: Bool, asked: Provenance, _ turn: Turn
  ) {
    view.configuration.lastReload = ReloadOutcome(at: turn.now)
    view.history.noteReload(view.configuration.lastReload)
    let changes = reload.differences.filter { !$0.object.hasPrefix("backend ") }.map { difference in
      Notice.changed(
        difference.object.isEmpty ? difference.key : "\(difference.object) \(difference.key)",
        old: difference.old ?? "not set",
        new: (difference.new ?? "not set") + (difference.needsRestart ? " (after a restart)" : ""), asked)
    }
    emit(Notice.limited(changes, asked))
    let generation = view.configuration.generation
    emit(
      .notice(
        .line(
          .notice, "configuration reloaded",
          ["generation": "\(generation)\(isSame ? ", nothing changed" : "")", "by": asked.by])))
    let restart = reload.restartRequired.joined(separator: ", ")
    if !restart.isEmpty {
      emit(.notice(.line(.warning, "a restart of sluiced is required", ["keys": restart])))
    }
    emit(
      .notice(
        .event(
          "config", view.process.configurationPath, new: "reloaded, generation \(generation)",
          reason: restart.isEmpty ? nil : "restart required: \(restart)", by: asked.by)))
  }
}

extension ControlError {
  static func invalidConfiguration(_ report: ConfigurationReport) -> ControlError {
    var error = ControlError(
      .unprocessableContent, "configuration-invalid",
      "\(report.summary); the running configuration is unchanged")
    error.body.diagnostics = report.diagnostics.map { ConfigurationDiagnostic($0) }
    return error
  }
}
