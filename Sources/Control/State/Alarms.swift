// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// The alarms that are raised. They are updated at the end of turns and ticks; reading has no side effect.
struct Alarms: Equatable, Sendable {
  private var since: [Alarm.Identity: Moment] = [:]
  /// The alarms that are raised, grouped.
  private(set) var current: [Alarm] = []

  /// Replaces the alarms by those that were found now.
  /// - Returns: which are raised, and which are cleared.
  mutating func update(with found: [Alarm], at now: Moment) -> [Notice] {
    var raised: [Alarm] = []
    var known: [Alarm.Identity: Moment] = [:]
    var all = found
    for index in all.indices {
      let identity = all[index].identity
      let moment = since[identity] ?? now
      all[index].since = moment
      if since[identity] == nil { raised.append(all[index]) }
      known[identity] = moment
    }
    let cleared = since.keys.filter { known[$0] == nil }
    since = known
    current = Alarm.grouped(all)
    return Self.notices(cleared: cleared) + Alarm.grouped(raised).map(Self.notice(raised:))
  }

  private static func notice(raised alarm: Alarm) -> Notice {
    Notice.line(.warning, "alarm raised", ["code": alarm.code.rawValue, "reason": alarm.message])
      .with(
        event: .event(
          "alarm", alarm.code.rawValue, objects: alarm.objects.count == 1 ? nil : alarm.objects,
          new: "raised", reason: alarm.message))
  }

  private static func notices(cleared: [Alarm.Identity]) -> [Notice] {
    Dictionary(grouping: cleared, by: \.code).sorted { $0.key.rawValue < $1.key.rawValue }
      .flatMap { code, identities in
        Alarm.parts(identities.map(\.object).sorted()).map { part in
          let what = part.count == 1 ? part[0] : Alarm.summary(part)
          return Notice.line(.notice, "alarm cleared", ["code": code.rawValue, "object": what])
            .with(
              event: .event(
                "alarm", code.rawValue, objects: part.count == 1 ? nil : part, old: "raised",
                new: "cleared", reason: what))
        }
      }
  }
}

extension Alarms {
  /// All conditions that an operator should look at now.
  /// - Parameter board: the health checks; nil if there are none.
  static func found(in snapshot: Snapshot, board: HealthBoard?, at now: Moment) -> [Alarm] {
    snapshot.uplinks.alarms + forwarding(snapshot) + paths(snapshot) + flows(snapshot)
      + health(snapshot.health.decision) + prober(snapshot) + checks(board, at: now) + overrides(snapshot)
      + daemon(snapshot, at: now)
  }

  private static func forwarding(_ snapshot: Snapshot) -> [Alarm] {
    let (uplinks, installed) = (snapshot.uplinks, snapshot.forwarding.installed)
    let isTunnelled = snapshot.forwarding.desired.pools.allSatisfy { $0.encapsulation.isTunnel }
    let troubled = uplinks.notablePaths.troubled
    let suspects = installed.backends(
      at: isTunnelled ? troubled : troubled.union(uplinks.addresses { !$0.state.isOnLink }))
    let unreachable = suspects.compactMap { backend in
      uplinks.path(to: backend)?.trouble.map { (backend, trouble: $0) }
    }
    let noNextHop = unreachable.sorted { $0.0.number < $1.0.number }.map { backend, trouble in
      let name = "\(backend.pool)/\(backend.name)"
      return Alarm(
        .noNextHop, name, "\(name): \(trouble)",
        cure: "ip route get \(backend.address); ip neigh show dev \(uplinks.interfaceName)")
    }
    let awaited = snapshot.awaitedPools
    let empty = snapshot.forwarding.tables.filter { name, table in
      !awaited.contains(name) && table.counts.keys.allSatisfy { $0 == 0 }
    }
    return noNextHop
      + empty.keys.sorted().map { pool in
        Alarm(
          .poolEmpty, pool, "pool \(pool) has no backend that takes new flows",
          cure: "sluice backend list \(pool)")
      }
  }

  private static func health(_ decision: HealthDecision) -> [Alarm] {
    decision.pools.sorted { $0.key < $1.key }.flatMap { name, pool in
      var found: [Alarm] = []
      if !pool.isSufficient {
        found.append(
          Alarm(
            .poolInsufficient, name,
            "pool \(name): \(pool.healthy) healthy backends, \(pool.required) required"
              + (pool.policy.map { "; on_insufficient: \($0.rawValue)" } ?? ""),
            cure: "sluice check list \(name)"))
      }
      if !pool.heldByGuard.isEmpty {
        found.append(
          Alarm(
            .healthGuard, name,
            "pool \(name): \(pool.heldByGuard.count) backends are down and stay in use, for too many went down at "
              + "once: " + pool.heldByGuard.prefix(8).joined(separator: ", "),
            cure:
              "sluice check list \(name); if they are down: sluice backend maint \(name)/NAME, or a larger "
              + "guard.share"))
      }
      return found
    }
  }

  private static func overrides(_ snapshot: Snapshot) -> [Alarm] {
    let (state, directory) = (snapshot.overrides, snapshot.configuration.node.stateDirectory)
    var found: [Alarm] = []
    if let unsaved = state.unsaved {
      found.append(
        Alarm(
          .overrides, directory,
          "runtime changes are in force but not saved, and a restart forgets them: \(unsaved)",
          cure: "free space in the state directory, or make it writable; saving is tried again every 10 s"))
    }
    if let file = state.setAside.first {
      let others = state.setAside.count > 1 ? " and \(state.setAside.count - 1) more" : ""
      found.append(
        Alarm(
          .overridesSetAside, file,
          "runtime changes that cannot be read are set aside in \(file)\(others)"
            + (state.setAsideReason.map { ": \($0)" } ?? "")
            + "; their backends stay as installed",
          cure: "make its changes again with sluice backend, then remove it: rm \(file)"))
    }
    return found
  }

  private static func daemon(_ snapshot: Snapshot, at now: Moment) -> [Alarm] {
    let node = snapshot.configuration.node
    var found: [Alarm] = []
    if let trouble = snapshot.forwarding.applyTrouble {
      found.append(Alarm(.notApplied, "", trouble, cure: "retried every 10 s; see the log"))
    }
    if let pins = snapshot.integrity.pins, pins.at.elapsed(at: now) < Integrity.alarmDuration {
      found.append(
        Alarm(
          .pinsRemoved, node.pinDirectory, "\(pins.what), at \(pins.at.date(at: now).formatted(.iso8601))",
          cure: "find the process that removes pins: without them forwarding ends with the daemon"))
    }
    if let damage = snapshot.integrity.damage, damage.at.elapsed(at: now) < Integrity.alarmDuration {
      found.append(
        Alarm(
          .mapsDamaged, node.pinDirectory,
          "another process wrote the pinned maps; they are repaired: "
            + Integrity.summary(damage.latest),
          cure: "find the process that writes the maps: fuser, lsof, bpftool; only sluiced may"))
    }
    if let trouble = snapshot.configuration.listenerTrouble {
      found.append(
        Alarm(
          .notListening, node.statusListen ?? "", trouble,
          cure: "free the address, or change status.listen; tried again every 5 s"))
    }
    let path = snapshot.process.configurationPath
    if let failure = snapshot.configuration.lastReload.failure {
      found.append(Alarm(.reloadFailed, path, failure, cure: "sluice config check \(path)"))
    }
    return found
  }
}
