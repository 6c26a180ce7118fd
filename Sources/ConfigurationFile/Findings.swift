// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// The diagnostics of one run, as they are found. Keeps the first hundred errors and the first hundred warnings, and
/// counts the others: what a report costs does not grow with the number of mistakes.
final class Findings {
  private let texts: [SourceText]
  private var found: [(location: SourceLocation, diagnostic: Diagnostic)] = []
  private var seen: Set<Key> = []
  private(set) var errorCount = 0
  private(set) var warningCount = 0
  /// All of them.
  var count: Int { errorCount + warningCount }
  /// Steps that reading took: values, characters of lines that were looked at, letters compared. Tests compare texts of
  /// different lengths by it.
  var steps = 0
  /// Errors that a report holds, and warnings.
  static let maximum = 100

  /// Steps of the search for nearest matches that are left. A step compares a letter of the word with one of a
  /// candidate; this many take about ten milliseconds.
  private var searchSteps = 2_000_000

  /// The lines looked at last: many reports about one long line must not decode it each time.
  private var recentLines: [Line] = []

  struct Line {
    /// Scalars of a line that reports show.
    static let longestShown = 400

    let file: Int
    let number: Int
    /// Its scalars.
    let count: Int
    /// nil: it is too long to be shown.
    let shown: [Unicode.Scalar]?
  }

  /// What anchors repeat is reported once.
  private struct Key: Hashable {
    let location: SourceLocation
    let code: Diagnostic.Code
    let message: String
  }

  init(_ texts: [SourceText]) { self.texts = texts }

  /// Whether a report of this severity would be kept. A caller that prepares one at length asks first.
  func keeps(_ severity: Diagnostic.Severity) -> Bool {
    (severity == .error ? errorCount : warningCount) < Self.maximum
  }

  /// - Parameters:
  ///   - path: in the schema.
  ///   - isSecret: whether the source line must not be shown.
  func report(
    _ severity: Diagnostic.Severity, _ code: Diagnostic.Code, at location: SourceLocation,
    path: @autoclosure () -> String = "", isSecret: Bool = false, _ message: @autoclosure () -> String,
    expected: @autoclosure () -> [String] = [], suggestion: @autoclosure () -> String? = nil,
    related: @autoclosure () -> (SourceLocation, String)? = nil
  ) {
    guard keeps(severity) else {
      count(severity)
      return
    }
    let message = shortened(message())
    guard seen.insert(Key(location: location, code: code, message: message)).inserted else { return }
    count(severity)
    let text = texts[location.file]
    let location = clamped(location)
    let path = path()
    let diagnostic = Diagnostic(
      severity: severity, code: code, file: text.path, line: location.line, column: location.column,
      endColumn: location.endColumn, path: path, message: message, expected: expected().map(shortened),
      suggestion: suggestion().map(shortened), related: related().map(self.related),
      excerpt: isSecret || isSecretKey(path) ? nil : excerpt(of: location))
    found.append((location, diagnostic))
  }

  private func clamped(_ location: SourceLocation) -> SourceLocation {
    let number = min(max(location.line, 1), texts[location.file].lineCount)
    return location.clamped(toLine: number, of: line(number, of: location.file).count)
  }

  func line(_ number: Int, of file: Int) -> Line {
    if let known = recentLines.first(where: { $0.file == file && $0.number == number }) { return known }
    if recentLines.count == 4 { recentLines.removeFirst() }
    let count = texts[file].length(ofLine: number)
    steps += count
    let line = Line(
      file: file, number: number, count: count,
      shown: count <= Line.longestShown ? texts[file].line(number) : nil)
    recentLines.append(line)
    return line
  }

  private func count(_ severity: Diagnostic.Severity) {
    if severity == .error { errorCount += 1 } else { warningCount += 1 }
  }

  private func related(_ location: SourceLocation, _ message: String) -> Diagnostic.Related {
    let location = clamped(location)
    return Diagnostic.Related(
      file: texts[location.file].path, line: location.line, column: location.column, message: message)
  }

  /// The candidate that a mistyped word most likely means, while the steps for such searches last.
  func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
    guard keeps(.error), searchSteps > 0 else { return nil }
    // A word that is much longer or shorter needs no comparison.
    let length = word.utf8.count
    let similar = candidates.filter { candidate in
      let other = candidate.utf8.count
      let isSimilar = abs(length - other) <= max(1, max(length, other) / 3)
      let cost = isSimilar ? length * other : 1
      searchSteps -= cost
      if searchSteps > 0 { steps += cost }
      return isSimilar && searchSteps > 0
    }
    return nearestMatch(to: word, among: similar)
  }

  /// The files that findings are in; nil: not known, for not all findings were kept.
  var concernedFiles: Set<Int>? { found.count == count ? Set(found.map(\.location.file)) : nil }

  /// Everything kept, sorted by location.
  var diagnostics: [Diagnostic] {
    found.enumerated().sorted { left, right in
      let (a, b) = (left.element.location, right.element.location)
      return (a.file, a.line, a.column, left.offset) < (b.file, b.line, b.column, right.offset)
    }.map(\.element.diagnostic)
  }
}
