// SPDX-License-Identifier: Apache-2.0

/// The diagnostics of one run, as they are found.
final class Findings {
  private let texts: [SourceText]
  private var found: [(place: Place, diagnostic: Diagnostic)] = []
  private var seen: Set<Key> = []
  /// Counts what was not kept, too.
  private(set) var errorCount = 0
  /// A file of nothing but mistakes makes no bigger report than this.
  private static let maximum = 1000

  /// What anchors repeat is reported once.
  private struct Key: Hashable {
    let place: Place
    let code: Diagnostic.Code
    let message: String
  }

  init(_ texts: [SourceText]) { self.texts = texts }

  func report(
    _ severity: Diagnostic.Severity, _ code: Diagnostic.Code, at place: Place, path: String = "",
    _ message: String, expected: [String] = [], suggestion: String? = nil, related: (Place, String)? = nil
  ) {
    if severity == .error { errorCount += 1 }
    let isFirstError = severity == .error && errorCount == 1
    guard found.count < Self.maximum || isFirstError,
      seen.insert(Key(place: place, code: code, message: message)).inserted
    else { return }
    let diagnostic = Diagnostic(
      severity: severity, code: code, file: texts[place.file].path, line: place.line, column: place.column,
      endColumn: place.endColumn, path: path, message: message, expected: expected, suggestion: suggestion,
      related: related.map { other, message in
        Diagnostic.Related(
          file: texts[other.file].path, line: other.line, column: other.column, message: message)
      },
      excerpt: path == "hash_seed" ? nil : excerpt(of: place))
    found.append((place, diagnostic))
  }

  /// Everything found, sorted by place.
  var diagnostics: [Diagnostic] {
    found.enumerated().sorted { left, right in
      let (a, b) = (left.element.place, right.element.place)
      return (a.file, a.line, a.column, left.offset) < (b.file, b.line, b.column, right.offset)
    }.map(\.element.diagnostic)
  }

  /// The line of a place: without the seed, because diagnostics end up in logs, and without what a terminal obeys.
  private func excerpt(of place: Place) -> String? {
    let lines = texts[place.file].lines
    let line = lines[place.line - 1]
    let maximum = 400
    guard line.count <= maximum else { return nil }
    if place.line > 1, seedValue(in: lines[place.line - 2]).map(\.isEmpty) == true { return nil }
    let secret = seedValue(in: line) ?? 0..<0
    var view = String.UnicodeScalarView()
    for (index, scalar) in line.enumerated() {
      view.append(secret.contains(index) ? "*" : isForbidden(scalar) ? "\u{FFFD}" : scalar)
    }
    return String(view)
  }

  /// Which part of a line is the value of `hash_seed`, rather too much than too little; empty where the value must
  /// be on the next line.
  private func seedValue(in line: [Unicode.Scalar]) -> Range<Int>? {
    let key = Array("hash_seed".unicodeScalars)
    guard
      let start = line.indices.first(where: { line[$0...].starts(with: key) }),
      let colon = line[(start + key.count)...].firstIndex(where: { $0 != "\"" && $0 != "'" && $0 != " " }),
      line[colon] == ":"
    else { return nil }
    let value = line[(colon + 1)...].drop { $0 == " " }
    guard let first = value.first, first != "|", first != ">", first != "#" else { return colon..<colon }
    let isQuoted = first == "\"" || first == "'"
    guard isQuoted, let quote = value.dropFirst().firstIndex(of: first) else {
      return value.startIndex..<line.endIndex
    }
    let next = line[(quote + 1)...].first { $0 != " " }
    return value.startIndex..<(next.map { [",", "}", "#"].contains($0) } ?? true ? quote + 1 : line.endIndex)
  }
}
