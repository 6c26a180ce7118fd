// SPDX-License-Identifier: Apache-2.0

/// Columns, aligned: text to the left, numbers to the right.
struct Table {
  enum Alignment { case left, right }

  let columns: [(title: String, alignment: Alignment)]
  var rows: [[String]] = []

  init(_ columns: [(String, Alignment)]) { self.columns = columns.map { ($0.0, $0.1) } }

  func rendered(headers: Bool) -> String {
    let lines = (headers ? [columns.map(\.title)] : []) + rows
    let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { line in
      let cells = columns.indices.map { index in
        let padding = String(repeating: " ", count: widths[index] - line[index].count)
        return columns[index].alignment == .left ? line[index] + padding : padding + line[index]
      }
      return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
    }.joined(separator: "\n")
  }
}

/// A share as a percentage with one decimal.
func percent(_ ratio: Double) -> String {
  let tenths = Int((ratio * 1000).rounded())
  return "\(tenths / 10).\(tenths % 10) %"
}

/// Seconds as people say them: `5m15s`, `3h12m`.
func duration(_ seconds: Double) -> String {
  let whole = Int(seconds)
  switch whole {
  case ..<60: return "\(whole)s"
  case ..<3600: return "\(whole / 60)m\(whole % 60)s"
  case ..<86400: return "\(whole / 3600)h\(whole / 60 % 60)m"
  default: return "\(whole / 86400)d\(whole / 3600 % 24)h"
  }
}
