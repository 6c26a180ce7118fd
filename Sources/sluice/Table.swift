// SPDX-License-Identifier: Apache-2.0

/// Columns, aligned by display width: text to the left, numbers to the right.
struct Table {
  enum Alignment { case left, right }

  let columns: [(title: String, alignment: Alignment)]
  var rows: [[String]] = []

  init(_ columns: [(String, Alignment)]) { self.columns = columns.map { ($0.0, $0.1) } }

  func rendered(headers: Bool = true) -> String {
    let lines = (headers ? [columns.map(\.title)] : []) + rows.map { $0.map { visible($0) } }
    let widths = columns.indices.map { column in lines.map { displayWidth($0[column]) }.max() ?? 0 }
    return lines.map { line in
      let cells = columns.indices.map { index in
        let padding = String(repeating: " ", count: widths[index] - displayWidth(line[index]))
        return columns[index].alignment == .left ? line[index] + padding : padding + line[index]
      }
      return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
    }.joined(separator: "\n")
  }
}
