// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Logging

/// What an operator, health or the daemon itself changed: a line of the log.
struct NotedChange {
  /// `backend web/b1`, `pool web`, `service www 192.0.2.1:80/tcp`, `limits.flows`
  var object: String
  var old: String?
  var new: String

  init(_ object: String, old: String? = nil, new: String) {
    self.object = object
    self.old = old
    self.new = new
  }
}

/// What becomes of backends, told as events and in the log.
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
    var noted: [NotedChange] = []
    defer { log(noted, asked) }
    let now = Told(backends: installed.backends, desired: desired)
    defer { told = now }
    guard let told else { return }
    let numbers = Set(told.backends.keys).union(now.backends.keys).sorted()
    for number in numbers { tell(of: told.backends[number], now.backends[number], asked, &noted) }
    guard desired != told.desired else { return }
    noted += poolChanges(from: told.desired, to: desired)
    logUses(from: told.desired, to: desired)
    for difference in desired.backendDifferences(since: told.desired) {
      // Of another address there are two: one comes, the other leaves.
      let changes = difference.changes.filter { $0.what != "address" }
      guard !changes.isEmpty else { continue }
      append(
        "\(difference.pool)/\(difference.backend)",
        old: changes.map { "\($0.what) \($0.old)" }.joined(separator: ", "),
        new: changes.map { "\($0.what) \($0.new)" }.joined(separator: ", "), asked, &noted)
    }
  }

  private func poolChanges(from old: DesiredState, to new: DesiredState) -> [NotedChange] {
    let (before, now) = (Set(old.pools.map(\.name)), Set(new.pools.map(\.name)))
    return now.subtracting(before).sorted().map { NotedChange("pool \($0)", new: "added") }
      + before.subtracting(now).sorted().map { NotedChange("pool \($0)", new: "removed") }
  }

  /// Logs which backends health takes out of use, and which it gives back.
  private func logUses(from old: DesiredState, to new: DesiredState) {
    let before = Dictionary(old.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let healths = checks?.healths() ?? [:]
    for pool in new.pools {
      guard let was = before[pool.name], was.backends != pool.backends else { continue }
      let wasInUse = Dictionary(
        was.backends.map { ($0.name, $0.isInUse) }, uniquingKeysWith: { first, _ in first })
      for backend in pool.backends {
        guard let used = wasInUse[backend.name], used != backend.isInUse else { continue }
        let (state, reason) = healths[BackendKey(pool: pool.name, backend: backend.name)] ?? (.unchecked, nil)
        let words = ["out of use", "in use"]
        log(
          [
            NotedChange(
              "backend \(pool.name)/\(backend.name)", old: words[used ? 1 : 0],
              new: words[backend.isInUse ? 1 : 0])
          ],
          Provenance(by: "health", at: 0, reason: reason ?? "its health is \(state.rawValue)"))
      }
    }
  }

  /// How many lines one change may take in the log.
  private static let longestLog = 200

  /// Logs changes, a line each, with who asked for them, and why.
  func log(_ changes: [NotedChange], _ asked: Provenance?) {
    for change in changes.prefix(Self.longestLog) {
      var metadata: Logger.Metadata = [
        "object": "\(change.object)", "new": "\(change.new)", "by": "\(asked?.by ?? "sluiced")",
      ]
      if let old = change.old { metadata["old"] = "\(old)" }
      if let reason = asked?.reason { metadata["reason"] = "\(reason)" }
      logger.notice("changed", metadata: metadata)
    }
    if changes.count > Self.longestLog {
      logger.notice(
        "changed",
        metadata: [
          "object": "\(changes.count - Self.longestLog) more", "new": "see `sluice events`",
          "by": "\(asked?.by ?? "sluiced")",
        ])
    }
  }

  private func tell(
    of old: InstalledState.Backend?, _ new: InstalledState.Backend?, _ asked: Provenance?,
    _ noted: inout [NotedChange]
  ) {
    switch (old, new) {
    case (let old?, let new?) where new.isLeaving && !old.isLeaving:
      append("\(new.pool)/\(new.name)", old: "\(old.address)", new: "leaving", asked, &noted)
    case (let old?, let new?) where old.isLeaving && !new.isLeaving:
      append("\(new.pool)/\(new.name)", old: "leaving", new: "added \(new.address)", asked, &noted)
    case (nil, let new?) where !new.isLeaving:
      append("\(new.pool)/\(new.name)", new: "added \(new.address)", asked, &noted)
    case (let old?, nil):
      let was = old.isLeaving ? "leaving" : "\(old.address)"
      let reason = asked == nil ? endOfDrain(old) : asked?.reason
      events.append(
        type: "backend", object: "\(old.pool)/\(old.name)", old: was, new: "released", reason: reason,
        by: asked?.by)
      log(
        [NotedChange("backend \(old.pool)/\(old.name)", old: was, new: "released")],
        Provenance(by: asked?.by ?? "sluiced", at: asked?.at ?? 0, reason: reason))
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

  private func append(
    _ object: String, old: String? = nil, new: String, _ asked: Provenance?, _ noted: inout [NotedChange]
  ) {
    events.append(
      type: "backend", object: object, old: old, new: new, reason: asked?.reason, by: asked?.by)
    noted.append(NotedChange("backend \(object)", old: old, new: new))
  }

  /// Tells of drains that are over, each once.
  func tellDrained() {
    var noted: [NotedChange] = []
    defer { log(noted, nil) }
    drained.formIntersection(drainingSince.keys)
    for backend in installed.backends.values.sorted(by: { $0.number < $1.number })
    where backend.isDraining && !backend.isLeaving
      && progress(of: backend).isOver(quiet: drain(of: backend.pool).quiet)
      && drained.insert(backend.number).inserted
    {
      append("\(backend.pool)/\(backend.name)", old: "state drain", new: "drained", nil, &noted)
    }
  }
}
