// SPDX-License-Identifier: Apache-2.0

/// One file of a configuration, as read.
public struct SourceFile: Hashable, Sendable {
  /// As it shall appear in diagnostics.
  public let path: String
  public let text: String

  public init(path: String, text: String) {
    self.path = path
    self.text = text
  }
}

/// Where something stands in a file. Lines and columns count from 1; columns count Unicode scalars, as libyaml does.
struct Place: Hashable {
  /// Index of the file in the order of reading: the main file is 0.
  var file: Int
  var line: Int
  var column: Int
  /// The column after the last one.
  var endColumn: Int
}

/// A file's text in lines, to find the extent of what the YAML parser gives only the start of.
struct SourceText {
  let path: String
  private(set) var lines: [[Unicode.Scalar]]

  init(_ file: SourceFile) {
    path = file.path
    lines = [[]]
    var scalars = file.text.unicodeScalars[...]
    // An editor shows no byte order mark, so it takes no column.
    if scalars.first == "\u{FEFF}" { scalars = scalars.dropFirst() }
    var previous: Unicode.Scalar?
    for scalar in scalars {
      switch scalar {
      case "\n" where previous == "\r": break
      case "\n", "\r": lines.append([])
      default: lines[lines.count - 1].append(scalar)
      }
      previous = scalar
    }
  }

  /// The text that ``lines`` make up.
  var text: String {
    var view = String.UnicodeScalarView()
    for (index, line) in lines.enumerated() {
      if index > 0 { view.append("\n") }
      view.append(contentsOf: line)
    }
    return String(view)
  }

  /// Replaces scalars, one by one, so that no position moves.
  mutating func replace(line: Int, columns: Range<Int>, with scalar: Unicode.Scalar) {
    for column in columns { lines[line - 1][column - 1] = scalar }
  }

  /// The place nearest to a position that lies inside the file; the end of a line counts as inside.
  func place(file: Int, line: Int, column: Int, endColumn: Int? = nil) -> Place {
    let line = min(max(line, 1), lines.count)
    let past = lines[line - 1].count + 1
    let start = min(max(column, 1), past)
    let end = min(max(endColumn ?? start + 1, start + 1), max(past, start + 1))
    return Place(file: file, line: line, column: start, endColumn: end)
  }

  func scalar(line: Int, column: Int) -> Unicode.Scalar? {
    guard lines.indices.contains(line - 1), lines[line - 1].indices.contains(column - 1) else { return nil }
    return lines[line - 1][column - 1]
  }

  /// The rest of a line from a column on.
  func rest(line: Int, column: Int) -> ArraySlice<Unicode.Scalar> {
    guard lines.indices.contains(line - 1) else { return [] }
    return lines[line - 1].dropFirst(column - 1)
  }

  /// The column after a scalar value that starts at a position and reads as `value`.
  func end(ofScalar value: String, line: Int, column: Int) -> Int {
    let rest = rest(line: line, column: column)
    if let quote = rest.first, quote == "\"" || quote == "'" {
      return column + quotedLength(rest, quote: quote)
    }
    if !value.isEmpty, rest.starts(with: value.unicodeScalars) { return column + value.unicodeScalars.count }
    return column + max(1, rest.prefix { $0 != " " && $0 != "," && $0 != "]" && $0 != "}" }.count)
  }

  /// Scalars of a quoted text with its quotes, or of all the rest where it ends on another line.
  private func quotedLength(_ text: ArraySlice<Unicode.Scalar>, quote: Unicode.Scalar) -> Int {
    var escaped = false
    for (offset, scalar) in text.enumerated().dropFirst() {
      if escaped {
        escaped = false
      } else if scalar == "\\" && quote == "\"" {
        escaped = true
      } else if scalar == quote {
        return offset + 1
      }
    }
    return text.count
  }
}
