// SPDX-License-Identifier: Apache-2.0

/// One file of a configuration, as read.
public struct SourceFile: Hashable, Sendable {
  /// As diagnostics show it.
  public let path: String
  public let text: String

  public init(path: String, text: String) {
    self.path = path
    self.text = text
  }
}

/// A position in a file. Lines and columns count from 1; columns count Unicode scalars, as libyaml does.
struct SourceLocation: Hashable {
  /// Index of the file in the order of reading: the main file is 0.
  var file: Int
  var line: Int
  var column: Int
  /// The column after the last one.
  var endColumn: Int

  init(file: Int, line: Int, column: Int, endColumn: Int? = nil) {
    self.file = file
    self.line = line
    self.column = column
    self.endColumn = endColumn ?? column + 1
  }

  /// The nearest location in a line.
  ///
  /// - Parameter length: scalars of the line; its end counts as inside.
  func clamped(toLine line: Int, of length: Int) -> SourceLocation {
    let past = length + 1
    let start = min(max(column, 1), past)
    let end = min(max(endColumn, start + 1), max(past, start + 1))
    return SourceLocation(file: file, line: line, column: start, endColumn: end)
  }
}

/// A file's text, and where its lines start.
struct SourceText {
  let path: String
  /// UTF-8, without a byte order mark: an editor shows none, so that it takes no column.
  let octets: [UInt8]
  /// The offset of the first octet of each line; at least one.
  private let lineStarts: [UInt32]

  init(path: String, octets: [UInt8]) {
    self.path = path
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    self.octets = octets.starts(with: mark) ? Array(octets.dropFirst(3)) : octets
    var starts: [UInt32] = [0]
    var previous: UInt8 = 0
    for (offset, octet) in self.octets.enumerated() {
      if octet == 0x0A, previous == 0x0D {
        starts[starts.count - 1] = UInt32(offset + 1)
      } else if octet == 0x0A || octet == 0x0D {
        starts.append(UInt32(offset + 1))
      }
      previous = octet
    }
    lineStarts = starts
  }

  var lineCount: Int { lineStarts.count }

  /// The number of scalars of a line without its line break; 0 where there is no such line.
  func length(ofLine number: Int) -> Int { octets(ofLine: number).count { $0 & 0xC0 != 0x80 } }

  /// A line without its line break; empty where there is no such line. Costs as much as the line is long.
  func line(_ number: Int) -> [Unicode.Scalar] {
    let line = octets(ofLine: number)
    var scalars: [Unicode.Scalar] = []
    scalars.reserveCapacity(line.count)
    scalars.append(contentsOf: String(decoding: line, as: UTF8.self).unicodeScalars)
    return scalars
  }

  private func octets(ofLine number: Int) -> ArraySlice<UInt8> {
    guard (1...lineCount).contains(number) else { return [] }
    let end = number < lineCount ? Int(lineStarts[number]) : octets.count
    var line = octets[Int(lineStarts[number - 1])..<end]
    if number < lineCount {
      while let last = line.last, last == 0x0A || last == 0x0D { line.removeLast() }
    }
    return line
  }
}
