// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing
internal import Netlink

/// What an operator should look at.
extension Reconciler {
  struct Alarm: Sendable {
    var code: String
    var message: String
    var object: String
    var cure: String
    var since: Date
  }

  /// What an operator should look at, each with its cure.
  func alarms() -> [Alarm] {
    var found: [(code: String, message: String, object: String, cure: String)] = []
    if interface == nil {
      let name = configuration.node.interface.name
      found.append(
        (
          "interface-missing", "interface \(name) does not exist", name,
          "create it: forwarding resumes by itself"
        ))
    } else if interface?.isRunning == false, let name = interface?.name {
      found.append(
        ("interface-down", "interface \(name) has no carrier or is down", name, "ip link set \(name) up"))
    }
    for backend in installed.backends.values.sorted(by: { $0.number < $1.number }) {
      guard let trouble = ways[backend.address]?.trouble else { continue }
      found.append(
        (
          "no-next-hop", "\(backend.pool)/\(backend.name): \(trouble)", "\(backend.pool)/\(backend.name)",
          "ip route get \(backend.address); ip neigh show dev \(configuration.node.interface.name)"
        ))
    }
    for pool in installed.pools.values where pool.slots.allSatisfy({ $0.current == 0 }) {
      found.append(
        (
          "pool-empty", "pool \(pool.name) has no backend that takes new flows", pool.name,
          "sluice backend list \(pool.name)"
        ))
    }
    if let overrideTrouble {
      found.append(
        ("overrides", overrideTrouble, configuration.node.stateDirectory, "make the state directory writable")
      )
    }
    if let applyTrouble { found.append(("not-applied", applyTrouble, "", "retried every 10 s; see the log")) }
    if let pinTrouble, Date().timeIntervalSince(pinTrouble.at) < 3600 {
      found.append(
        (
          "pins-removed", "\(pinTrouble.what), at \(timestamp(pinTrouble.at))",
          configuration.node.pinDirectory,
          "find who writes there: without pins forwarding ends with the daemon"
        ))
    }
    if !lastReload.isSuccessful {
      found.append(
        (
          "reload-failed", lastReload.failure ?? "", configurationPath,
          "sluice config check \(configurationPath)"
        ))
    }
    let objects = Set(found.map { $0.code + $0.object })
    alarmsSince = alarmsSince.filter { objects.contains($0.key) }
    return found.map { alarm in
      let since = alarmsSince[alarm.code + alarm.object] ?? Date()
      alarmsSince[alarm.code + alarm.object] = since
      return Alarm(
        code: alarm.code, message: alarm.message, object: alarm.object, cure: alarm.cure, since: since)
    }
  }
}
