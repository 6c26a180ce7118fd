// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Logging

/// What an operator changed at run time.
extension Reconciler {
  /// Puts overrides in force and saves them. All of it or nothing: a plan that does not exist changes nothing.
  func put(
    _ changed: [BackendOverride], expiring: Set<BackendNumber> = [], asked: Provenance
  ) async throws -> Effect {
    await resolveNextHops(for: configuration.desired.applying(changed), patience: .milliseconds(500))
    // Formed after the wait, in which a reload may have been done.
    let known = known
    let proposal = try plan(desired(configuration.desired, changed, known: known), expired: expiring).get()
    try applyPlan(.success(proposal), asked: asked)
    overrides = changed.filter { !$0.isRedundant(in: configuration.desired) }
    checkDesired(known: known)
    followHealth()
    generation += 1
    saveOverrides()
    return proposal.plan.effect
  }

  func saveOverrides() {
    do throws(OverrideStoreError) {
      try store.save(overrides)
      overrideTrouble = nil
    } catch {
      overrideTrouble = "the change is in force but not saved: \(error)"
      logger.error("overrides not saved", metadata: ["error": "\(error)"])
    }
  }
}
