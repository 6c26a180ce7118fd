// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// What becomes of backends, told as events.
extension Reconciler {
  /// What followers of events know of backends.
  struct Told {
    var backends: [BackendNumber: InstalledState.Backend]
    var desired: DesiredState
  }

  /// Tells what the plan just applied changed for backends. What a start finds is where it begins, and not told.
  /// - Parameters:
  ///   - desired: what is fulfilled now.
  ///   - asked: who asked for it, and why; nil: the daemon by itself.
  func tell(of desired: DesiredState, asked: Provenance?) {
    let now = Told(backends: installed.backends, desired: desired)
    defer { told = now }
    guard let told else { return }
    let numbers = Set(told.backends.keys).union(now.backends.keys).sorted()
    for number in numbers { tell(of: told.backends[number], now.backends[number], asked) }
    guard desired != told.desired else { return }
    for difference in desired.backendDifferences(since: told.desired) {
      // Of another address there are two: one comes, the other leaves.
      let changes = difference.changes.filter { $0.what != "address" }
      guard !changes.isEmpty else { continue }
      append(
        "\(difference.pool)/\(difference.backend)",
        old: changes.map { "\($0.what) \($0.old)" }.joined(separator: ", "),
        new: changes.map { "\($0.what) \($0.new)" }.joined(separator: ", "), asked)
    }
  }

  private func tell(
    of old: InstalledState.Backend?, _ new: InstalledState.Backend?, _ asked: Provenance?
  ) {
    switch (old, new) {
    case (let old?, let new?) where new.isLeaving && !old.isLeaving:
      append("\(new.pool)/\(new.name)", old: "\(old.address)", new: "leaving", asked)
    case (let old?, let new?) where old.isLeaving && !new.isLeaving:
      append("\(new.pool)/\(new.name)", old: "leaving", new: "added \(new.address)", asked)
    case (nil, let new?) where !new.isLeaving:
      append("\(new.pool)/\(new.name)", new: "added \(new.address)", asked)
    case (let old?, nil):
      events.append(
        type: "backend", object: "\(old.pool)/\(old.name)", old: old.isLeaving ? "leaving" : "\(old.address)",
        new: "released", reason: asked == nil ? endOfDrain(old) : asked?.reason, by: asked?.by)
    default: break
    }
  }

  /// Why a backend that left is released by the daemon itself.
  private func endOfDrain(_ backend: InstalledState.Backend) -> String? {
    guard backend.isLeaving else { return nil }
    let drain = drain(of: backend.pool)
    return progress(of: backend).isOver(quiet: drain.quiet)
      ? "its drain is over" : "drain timeout of \(drain.timeout) s"
  }

  private func append(_ object: String, old: String? = nil, new: String, _ asked: Provenance?) {
    events.append(
      type: "backend", object: object, old: old, new: new, reason: asked?.reason, by: asked?.by)
  }

  /// Tells of drains that are over, each once.
  func tellDrained() {
    drained.formIntersection(drainingSince.keys)
    for backend in installed.backends.values.sorted(by: { $0.number < $1.number })
    where backend.isDraining && !backend.isLeaving
      && progress(of: backend).isOver(quiet: drain(of: backend.pool).quiet)
      && drained.insert(backend.number).inserted
    {
      append("\(backend.pool)/\(backend.name)", old: "state drain", new: "drained", nil)
    }
  }
}
