// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI

/// What commands show of the API's values.
enum Rendering {
  static func services(_ rows: [ServiceRow], headers: Bool) -> String {
    var table = Table([
      ("SERVICE", .left), ("VIP", .left), ("PORT", .right), ("PROTO", .left), ("POOL", .left),
      ("AFFINITY", .left),
      ("PACKETS", .right), ("BYTES", .right),
    ])
    table.rows = rows.map {
      [
        $0.name, $0.vip, $0.port.map(String.init) ?? "any", $0.protocol, $0.pool, $0.affinity,
        "\($0.packets)",
        "\($0.bytes)",
      ]
    }
    return table.rendered(headers: headers)
  }

  static func pools(_ rows: [PoolRow], headers: Bool) -> String {
    var table = Table([
      ("POOL", .left), ("READY", .right), ("SLOTS", .right), ("CHANGED", .right), ("DIGEST", .left),
    ])
    table.rows = rows.map {
      ["\($0.name)", "\($0.ready)/\($0.backends)", "\($0.slots)", "\($0.changedSlots)", $0.tableDigest]
    }
    return table.rendered(headers: headers)
  }

  static func backends(_ rows: [BackendRow], headers: Bool) -> String {
    var table = Table([
      ("BACKEND", .left), ("ADDRESS", .left), ("WEIGHT", .right), ("STATE", .left), ("HEALTH", .left),
      ("SHARE", .right), ("PACKETS", .right), ("NEXT HOP", .left),
    ])
    table.rows = rows.map { row in
      [
        "\(row.pool)/\(row.name)", row.address, "\(row.weight)", row.state + (row.override == nil ? "" : "*"),
        row.health, percent(row.share), "\(row.packets)",
        row.trouble ?? [row.via, row.mac].compactMap(\.self).joined(separator: " "),
      ]
    }
    let notes = rows.compactMap { row in
      row.override.map {
        "* \(row.pool)/\(row.name): \($0.changes.joined(separator: ", ")) at run time by \($0.by), \($0.at)"
          + ($0.reason.map { ": \($0)" } ?? "")
      }
    }
    return ([table.rendered(headers: headers)] + notes).joined(separator: "\n")
  }

  static func effect(_ reply: ChangeReply) -> String {
    var lines = effect(reply.effect)
    if lines.isEmpty { lines.append("nothing changes") }
    lines.append(reply.dryRun ? "dry run: nothing was changed" : "generation \(reply.generation)")
    return lines.joined(separator: "\n")
  }

  static func effect(_ effect: ChangeEffect) -> [String] {
    effect.changes
      + effect.pools.map {
        let share = Double($0.slotsMoved) / Double(max($0.slotsTotal, 1))
        return "pool \($0.pool): \(percent(share)) of slots move (\($0.slotsMoved) of \($0.slotsTotal))"
      } + effect.warnings.map { "warning: \($0)" }
  }

  static func diff(_ diff: ConfigurationDiff) -> String {
    let reload = effect(diff.reload)
    var lines = reload.isEmpty ? ["the file and the running configuration are the same"] : ["a reload would:"]
    lines += reload.map { "  \($0)" }
    if !diff.drift.isEmpty { lines += ["runtime changes in force:"] + diff.drift.map { "  \($0)" } }
    if !diff.restartRequired.isEmpty {
      lines.append("restart required for: \(diff.restartRequired.joined(separator: ", "))")
    }
    return lines.joined(separator: "\n")
  }
}
