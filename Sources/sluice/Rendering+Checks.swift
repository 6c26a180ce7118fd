// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI

extension Rendering {
  static func checks(_ rows: [CheckRow], headers: Bool) -> String {
    var table = Table([
      ("BACKEND", .left), ("TARGET", .left), ("CHECK", .left), ("VIA", .left), ("STATE", .left),
      ("STREAK", .right),
      ("LAST", .left), ("TOOK", .right), ("REASON", .left),
    ])
    table.rows = rows.map { row in
      [
        "\(row.pool)/\(row.backend)", target(row.target, row.port), row.type, row.via, row.state,
        row.failed > 0 ? "-\(row.failed)" : "+\(row.passed)", row.lastAt ?? "never",
        row.lastMs.map { "\($0) ms" } ?? "-", reason(row),
      ]
    }
    return table.rendered(headers: headers)
  }

  private static func reason(_ row: CheckRow) -> String {
    let held = row.heldUntil.map { "held down until \($0)" }
    return [row.layer.map { "\($0): \(row.reason ?? "")" }, held].compactMap(\.self).joined(separator: "; ")
  }

  private static func target(_ address: String, _ port: Int?) -> String {
    guard let port else { return address }
    return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
  }

  /// Every step, then what it means.
  static func check(_ report: CheckReport) -> String {
    let title =
      "\(report.pool)/\(report.backend): \(report.type) to \(target(report.target, report.port)) "
      + (report.via == "tunnel" ? "through the tunnel" : "directly")
    var table = Table([("RESULT", .left), ("MS", .right), ("STEP", .left), ("DETAIL", .left)])
    table.rows = report.steps.map { [$0.result, $0.ms.map { "\($0)" } ?? "", $0.step, $0.detail] }
    let verdict = report.passed ? "passed" : "FAILED at layer \(report.layer ?? "unknown")"
    return
      ([title, table.rendered(headers: false), "\(verdict): \(report.conclusion)"]
      + [report.cure.map { "look at: \($0)" }].compactMap(\.self)).joined(separator: "\n")
  }
}
