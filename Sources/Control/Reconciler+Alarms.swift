// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing
internal import Netlink

/// What an operator should look at.
extension Reconciler {
  struct Alarm: Sendable {
    var code: String
    var message: String
    /// Of many, the first.
    var object: String
    /// All that it is about.
    var objects: [String]
    var cure: String
    var since: Date

    /// What it is told apart by.
    struct Identity: Hashable {
      var code: String
      var object: String
    }
  }

  /// What an operator should look at, each with its cure. Followers of events are told what is new and what is over.
  func alarms() -> [Alarm] {
    var found: [(code: String, message: String, object: String, cure: String)] = []
    found += interfaceAlarms()
    for backend in installed.backends.values.sorted(by: { $0.number < $1.number }) {
      guard let trouble = ways[backend.address]?.trouble else { continue }
      found.append(
        (
          "no-next-hop", "\(backend.pool)/\(backend.name): \(trouble)", "\(backend.pool)/\(backend.name)",
          "ip route get \(backend.address); ip neigh show dev \(interface?.name ?? configuration.node.interface.name)"
        ))
    }
    for pool in installed.pools.values
    where pool.slots.allSatisfy({ $0.current == 0 }) && !health.awaited.contains(pool.name) {
      found.append(
        (
          "pool-empty", "pool \(pool.name) has no backend that takes new flows", pool.name,
          "sluice backend list \(pool.name)"
        ))
    }
    found += pathAlarms() + flowAlarms() + healthAlarms() + checkAlarms() + overrideAlarms()
    if let applyTrouble { found.append(("not-applied", applyTrouble, "", "retried every 10 s; see the log")) }
    if let pinTrouble, pinTrouble.at.elapsed < .seconds(3600) {
      found.append(
        (
          "pins-removed", "\(pinTrouble.what), at \(timestamp(pinTrouble.at.date))",
          configuration.node.pinDirectory,
          "find who writes there: without pins forwarding ends with the daemon"
        ))
    }
    if let at = damage.at, at.duration(to: .now) < MapDamage.alarmDuration {
      found.append(
        (
          "maps-damaged",
          "another process wrote the pinned maps, and what it wrote is repaired: \(MapDamage.summary(damage.latest))",
          configuration.node.pinDirectory, "find who writes there: fuser, lsof, bpftool; only sluiced may"
        ))
    }
    if !lastReload.isSuccessful {
      found.append(
        (
          "reload-failed", lastReload.failure ?? "", configurationPath,
          "sluice config check \(configurationPath)"
        ))
    }
    let all = found.map { alarm in
      Alarm(
        code: alarm.code, message: alarm.message, object: alarm.object, objects: [alarm.object],
        cure: alarm.cure,
        since: (alarmsSince[Alarm.Identity(code: alarm.code, object: alarm.object)] ?? Moment()).date)
    }
    tell(of: all)
    return Alarm.grouped(all)
  }

  /// Tells which alarms are new, and which are over.
  private func tell(of alarms: [Alarm]) {
    let raised = alarms.filter { alarmsSince[$0.identity] == nil }
    for alarm in raised { alarmsSince[alarm.identity] = Moment() }
    let identities = Set(alarms.map(\.identity))
    let cleared = alarmsSince.keys.filter { !identities.contains($0) }
    for identity in cleared { alarmsSince[identity] = nil }
    for (code, objects) in Dictionary(grouping: cleared, by: \.code).sorted(by: { $0.key < $1.key }) {
      for part in Alarm.parts(objects.map(\.object).sorted()) {
        let what = part.count == 1 ? part[0] : Alarm.summary(part)
        events.append(
          type: "alarm", object: code, objects: part.count == 1 ? nil : part, old: "raised", new: "cleared",
          reason: what)
        logger.notice("alarm cleared", metadata: ["code": "\(code)", "object": "\(what)"])
      }
    }
    for alarm in Alarm.grouped(raised) {
      events.append(
        type: "alarm", object: alarm.code, objects: alarm.objects.count == 1 ? nil : alarm.objects,
        new: "raised", reason: alarm.message)
      logger.warning("alarm raised", metadata: ["code": "\(alarm.code)", "reason": "\(alarm.message)"])
    }
  }

  private func overrideAlarms() -> [(code: String, message: String, object: String, cure: String)] {
    var found: [(code: String, message: String, object: String, cure: String)] = []
    if let unsavedChange {
      found.append(
        (
          "overrides",
          "runtime changes are in force but not saved, and a restart forgets them: \(unsavedChange)",
          configuration.node.stateDirectory,
          "make room in the state directory, or make it writable; saving is tried again every 10 s"
        ))
    }
    if let file = setAside.first {
      let others = setAside.count > 1 ? " and \(setAside.count - 1) more" : ""
      found.append(
        (
          "overrides-set-aside",
          "runtime changes that cannot be read are set aside in \(file)\(others)"
            + (setAsideReason.map { ": \($0)" } ?? "") + "; what they were about stays as it is installed",
          file, "make its changes again with sluice backend, then take it away: rm \(file)"
        ))
    }
    return found
  }

  private func interfaceAlarms() -> [(code: String, message: String, object: String, cure: String)] {
    let name = configuration.node.interface.name
    var found: [(code: String, message: String, object: String, cure: String)] = []
    if let detachedBy {
      found.append(
        (
          "detached", "nothing is forwarded: detached by \(detachedBy)", name, "sluice attach"
        ))
    }
    guard let interface else {
      found.append(
        (
          "interface-missing", "interface \(name) does not exist", name,
          detachedBy == nil ? "create it: forwarding resumes by itself" : "create it"
        ))
      return found
    }
    if interface.hardwareAddress == nil {
      found.append(
        (
          "not-ethernet", "nothing is forwarded: \(interface.name) is no Ethernet interface", interface.name,
          "set interfaces[0].name to the interface that clients' packets arrive on: see `ip -d link`"
        ))
    }
    if let attachTrouble, isAttached {
      found.append(
        (
          "not-attached", "nothing is forwarded: \(attachTrouble)", interface.name,
          "tried again at every change of the interface, and every 10 s"
        ))
    }
    if !interface.isRunning {
      found.append(
        (
          "interface-down", "interface \(interface.name) has no carrier or is down", interface.name,
          "ip link set \(interface.name) up"
        ))
    }
    if interface.name != name {
      found.append(
        (
          "interface-renamed", "\(name) is called \(interface.name) now; forwarding goes on there", name,
          "before the next start of the daemon, rename it back or set interfaces[0].name to \(interface.name)"
        ))
    }
    return found
  }

  private func healthAlarms() -> [(code: String, message: String, object: String, cure: String)] {
    var found: [(code: String, message: String, object: String, cure: String)] = []
    for (name, pool) in health.pools.sorted(by: { $0.key < $1.key }) {
      if !pool.isSufficient {
        found.append(
          (
            "pool-insufficient",
            "pool \(name): \(pool.healthy) healthy backends, \(pool.required) required"
              + (pool.policy.map { "; on_insufficient: \($0.rawValue)" } ?? ""), name,
            "sluice check list \(name)"
          ))
      }
      if !pool.heldByGuard.isEmpty {
        found.append(
          (
            "health-guard",
            "pool \(name): \(pool.heldByGuard.count) backends are down and stay in use, for too many went down at once: "
              + pool.heldByGuard.prefix(8).joined(separator: ", "), name,
            "sluice check list \(name); if they are down: sluice backend maint \(name)/NAME, or a larger guard.share"
          ))
      }
    }
    return found
  }

  /// Where the flow table is short of room, changes may cost connections.
  private func flowAlarms() -> [(code: String, message: String, object: String, cure: String)] {
    var found: [(code: String, message: String, object: String, cure: String)] = []
    let capacity = configuration.node.limits.flows
    if let entries = census?.found.entries, entries * 5 > capacity * 4 {
      found.append(
        (
          "flow-table-full",
          "the flow table has \(entries) of \(capacity) entries: "
            + "flows that find no room may move when their slot changes again", "flow table",
          "raise limits.flows and restart; is there a flood? sluice metrics | grep sluice_flow_events_total"
        ))
    }
    if unwritten.full + unwritten.overBudget > 0 {
      found.append(
        (
          "flows-not-written",
          "flows that cannot be remembered: \(Int(unwritten.full.rounded(.up)))/s for lack of room, "
            + "\(Int(unwritten.overBudget.rounded(.up)))/s over budget", "flow table",
          "raise limits.flows and restart; a flood of new flows passes by itself"
        ))
    }
    return found
  }
}
