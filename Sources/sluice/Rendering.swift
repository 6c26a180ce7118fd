// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI

/// What commands show of the API's values.
enum Rendering {
  static func services(_ rows: [ServiceRow], headers: Bool) -> String {
    var table = Table([
      ("SERVICE", .left), ("VIP", .left), ("PORT", .right), ("PROTO", .left), ("POOL", .left),
      ("AFFINITY", .left), ("PACKETS", .right), ("BYTES", .right),
    ])
    table.rows = rows.map {
      [
        $0.name, $0.vip, $0.port.map(String.init) ?? "any", $0.protocol, $0.pool, $0.affinity,
        "\($0.packets)", "\($0.bytes)",
      ]
    }
    return table.rendered(headers: headers)
  }

  static func pools(_ rows: [PoolRow], headers: Bool) -> String {
    var table = Table([
      ("POOL", .left), ("READY", .right), ("SLOTS", .right), ("CHANGED", .right), ("DIGEST", .left),
    ])
    table.rows = rows.map {
      [$0.name, "\($0.ready)/\($0.backends)", "\($0.slots)", "\($0.changedSlots)", $0.tableDigest]
    }
    return table.rendered(headers: headers)
  }

  static func backends(_ rows: [BackendRow], headers: Bool) -> String {
    var table = Table([
      ("BACKEND", .left), ("ADDRESS", .left), ("WEIGHT", .right), ("STATE", .left), ("HEALTH", .left),
      ("SHARE", .right), ("FLOWS", .right), ("LAST NEW", .right), ("PACKETS", .right), ("NEXT HOP", .left),
    ])
    table.rows = rows.map { row in
      [
        "\(row.pool)/\(row.name)", row.address, "\(row.weight)",
        (row.drained ? "drained" : row.state) + (row.override == nil ? "" : "*"), row.health,
        percent(row.share), "\(row.flows)", row.lastNewS.map { "\(duration($0)) ago" } ?? "-",
        "\(row.packets)",
        nextHop(row),
      ]
    }
    return ([table.rendered(headers: headers)] + rows.compactMap(note)).joined(separator: "\n")
  }

  private static func nextHop(_ row: BackendRow) -> String {
    if let trouble = row.trouble { return "TROUBLE: \(trouble)" }
    return [row.via.map { "via \($0)" }, row.mac].compactMap(\.self).joined(separator: " ")
  }

  private static func note(_ row: BackendRow) -> String? {
    var lines: [String] = []
    if let reason = row.reason {
      lines.append(visible("! \(row.pool)/\(row.name): \(row.health): \(reason)"))
    }
    if let override = row.override { lines.append(note(override, row)) }
    return lines.isEmpty ? nil : lines.joined(separator: "\n")
  }

  private static func note(_ override: BackendRow.Override, _ row: BackendRow) -> String {
    let changes = override.changes.joined(separator: ", ")
    let reason = override.reason.map { ": \($0)" } ?? ""
    return visible("* \(row.pool)/\(row.name): \(changes), by \(override.by) at \(override.at)\(reason)")
  }

  static func effect(_ reply: ChangeReply) -> String {
    var lines = effect(reply.effect)
    if lines.isEmpty { lines.append("nothing changes") }
    lines += restart(reply.restartRequired)
    lines.append(reply.dryRun ? "dry run: nothing was changed" : "in force: generation \(reply.generation)")
    return lines.joined(separator: "\n")
  }

  static func effect(_ effect: ChangeEffect) -> [String] {
    effect.changes
      + effect.pools.flatMap(pool) + touched(effect.services) + flows(effect)
      + effect.uncounted.map(uncounted)
      + effect.warnings.map { "warning: \($0)" }
  }

  private static func pool(_ pool: ChangeEffect.Pool) -> [String] {
    let share = percent(Double(pool.slotsMoved) / Double(max(pool.slotsTotal, 1)))
    let floor = pool.required > 0 ? "; \(pool.ready) ready, \(pool.required) required" : ""
    let losers = pool.emptied.map { "backend \(pool.pool)/\($0) loses all of its slots" }
    let winners = pool.filled.map { "backend \(pool.pool)/\($0) gets its first slots" }
    return ["pool \(pool.pool): \(share) of slots move (\(pool.slotsMoved) of \(pool.slotsTotal))\(floor)"]
      + losers
      + winners
  }

  private static func touched(_ services: [String]) -> [String] {
    guard !services.isEmpty else { return [] }
    let more = services.count > 8 ? " and \(services.count - 8) more" : ""
    return ["services touched: \(services.prefix(8).joined(separator: ", "))\(more)"]
  }

  private static func flows(_ effect: ChangeEffect) -> [String] {
    guard let concerned = effect.flowsConcerned else { return [] }
    let lost = effect.flowsLost.map { $0 > 0 ? ", \($0) of them break" : ", none of them breaks" } ?? ""
    return concerned > 0 ? ["tracked flows concerned: up to \(concerned)\(lost)"] : []
  }

  private static func uncounted(_ flows: ChangeEffect.Uncounted) -> String {
    let slots = percent(Double(flows.slots) / Double(max(flows.slotsTotal, 1)))
    let head = "backend \(flows.backend): flows of \(slots) of slots are not counted, and break"
    guard let rate = flows.packetsPerS, let share = flows.share, let seconds = flows.overS else {
      return "\(head); how many packets it gets is not known yet"
    }
    let packets = rate < 10 ? "\((rate * 10).rounded() / 10)" : "\(Int(rate.rounded()))"
    return "\(head); it got about \(packets) packets/s over the last \(duration(seconds)), "
      + "\(percent(share)) of its pool's"
  }

  /// What waits for a restart.
  private static func restart(_ keys: [String]) -> [String] {
    keys.isEmpty
      ? []
      : [
        "restart required for: \(keys.joined(separator: ", ")); forwarding goes on during a restart of sluiced"
      ]
  }

  static func diff(_ diff: ConfigurationDiff) -> String {
    let reload = effect(diff.reload)
    var lines = reload.isEmpty ? ["a reload would change nothing"] : ["a reload would:"]
    lines += reload.map { "  \($0)" }
    if !diff.drift.isEmpty { lines += ["runtime changes in force:"] + diff.drift.map { "  \($0)" } }
    lines += restart(diff.restartRequired)
    return lines.joined(separator: "\n")
  }
}
