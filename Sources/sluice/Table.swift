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
      var text = ""
      // Spaces that are due before the next cell with text: a line ends without any.
      var spaces = 0
      for (index, cell) in line.enumerated() {
        let padding = widths[index] - displayWidth(cell)
        let isLeft = columns[index].alignment == .left
        spaces += (index > 0 ? 2 : 0) + (isLeft ? 0 : padding)
        if !cell.isEmpty {
          text += String(repeating: " ", count: spaces) + cell
          spaces = 0
        }
        if isLeft { spaces += padding }
      }
      return text
    }.joined(separator: "\n")
  }
}
