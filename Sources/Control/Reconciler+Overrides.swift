// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import Foundation
internal import HTTPTypes
internal import LoadBalancing
internal import Logging

/// What an operator changed at run time.
extension Reconciler {
  /// Puts overrides in force and saves them. All of it or nothing: a plan that does not exist changes nothing.
  /// - Parameter requiresSaved: refuse the change where it cannot be saved; else it is in force, and
  ///   ``unsavedChange`` tells.
  func put(
    _ changed: [BackendOverride], expiring: Set<BackendNumber> = [], asked: Provenance,
    requiresSaved: Bool = false
  ) async throws -> ChangeEffect {
    await resolveNextHops(for: configuration.desired.applying(changed), patience: .milliseconds(500))
    // Formed after the wait, in which a reload may have been done.
    let known = known(in: configuration.desired)
    let proposal = try plan(desired(configuration.desired, changed, known: known), expired: expiring).get()
    let effect = changeEffect(proposal.plan.effect, to: proposal.desired)
    let before = overrides
    let kept = changed.filter { !$0.isRedundant(in: configuration.desired) }
    // Saved first: what is not saved can still be refused, and what is cannot be forgotten by a death.
    save(kept)
    if requiresSaved, let unsavedChange {
      save(overrides)
      throw ControlError(
        .init(code: 507, reasonPhrase: "Insufficient Storage"), "not-saved",
        "the change was not made, for it cannot be saved: \(unsavedChange)")
    }
    do {
      try applyPlan(.success(proposal), asked: asked)
    } catch {
      save(overrides)
      throw error
    }
    overrides = kept
    checkDesired(known: known)
    followHealth()
    if overrides != before || !expiring.isEmpty { generation += 1 }
    return effect
  }

  /// Saves the overrides in force.
  func saveOverrides() { save(overrides) }

  private func save(_ overrides: [BackendOverride]) {
    do throws(OverrideStoreError) {
      try store.save(overrides)
      if unsavedChange != nil { logger.notice("overrides saved") }
      unsavedChange = nil
    } catch {
      let trouble = "\(error)"
      if trouble != unsavedChange { logger.error("overrides not saved", metadata: ["error": "\(trouble)"]) }
      unsavedChange = trouble
    }
  }

  /// Tries again what could not be saved, and looks at what was set aside. To be called regularly.
  func tidyOverrides() {
    if unsavedChange != nil { saveOverrides() }
    setAside = store.setAside
  }

  // MARK: Start

  /// Loads what was saved.
  /// - Returns: which backends' overrides could not be read; nil: all could.
  func loadOverrides() -> UnreadOverrides? {
    let loaded = store.load(for: configuration.desired)
    overrides = loaded.overrides
    setAside = store.setAside
    guard !loaded.isComplete else { return nil }
    if let unreadable = loaded.unreadable {
      logger.error("overrides not loaded", metadata: ["error": "\(unreadable)"])
      setAsideReason = unreadable
      return .all
    }
    for (backend, why) in loaded.rejected.prefix(20) {
      logger.error(
        "an override is not valid and is not used",
        metadata: ["backend": "\(backend.map { "\($0)" } ?? "?")", "why": "\(why)"])
    }
    setAsideReason = loaded.rejected.first.map { backend, why in
      "\(loaded.rejected.count) overrides are not valid, the first of \(backend.map { "\($0)" } ?? "no backend"): \(why)"
    }
    return .some(Set(loaded.rejected.compactMap(\.backend)))
  }

  /// Overrides that could not be read.
  enum UnreadOverrides {
    case all
    case some(Set<BackendKey>)

    func contains(_ backend: BackendKey) -> Bool {
      switch self {
      case .all: true
      case .some(let backends): backends.contains(backend)
      }
    }
  }

  /// Keeps what is installed as it is where the overrides that made it so could not be read: who was drained stays so.
  func keepInstalled(_ unread: UnreadOverrides) {
    let read = Set(overrides.map { BackendKey(pool: $0.pool, backend: $0.backend) })
    let absentees = healthStore.load()
    let provenance = Provenance(
      by: "sluiced", at: Date().timeIntervalSince1970,
      reason: "as installed: the saved change could not be read")
    let named = installed.renamed(to: configuration.desired)
    let shown = named.overridesShown(over: configuration.desired, provenance: provenance) {
      unread.contains($0) && !read.contains($0)
    } isOutByHealth: { name, address in
      guard configuration.desired.pool(named: name.pool)?.health.check != nil else { return false }
      return absentees?.contains(HealthStore.Absentee(name, address)) ?? true
    }
    overrides += shown
    for override in shown {
      logger.notice(
        "kept as installed",
        metadata: [
          "backend": "\(override.pool)/\(override.backend)",
          "change": "\(override.changes.joined(separator: ", "))",
        ])
    }
    saveOverrides()
    setAside = store.setAside
  }
}
