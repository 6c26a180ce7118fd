// SPDX-License-Identifier: Apache-2.0

/// One mistake or warning about a configuration, with its location.
public struct Diagnostic: Codable, Hashable, Sendable {
  public enum Severity: String, Codable, Hashable, Sendable {
    /// The configuration cannot be used.
    case error
    /// It can, but is hardly what was meant.
    case warning
  }

  /// A second location that the diagnostic is about.
  public struct Related: Codable, Hashable, Sendable {
    public let file: String
    public let line: Int
    public let column: Int
    /// What is there, such as "first defined".
    public let message: String

    public init(file: String, line: Int, column: Int, message: String) {
      self.file = file
      self.line = line
      self.column = column
      self.message = message
    }
  }

  public var severity: Severity
  public var code: Code
  public var file: String
  /// Counted from 1.
  public var line: Int
  /// Counted from 1, in Unicode scalars.
  public var column: Int
  /// The column after the last one concerned.
  public var endColumn: Int
  /// Where in the schema: `pools.web.backends[1].wieght`; empty where a whole file is concerned.
  public var path: String
  public var message: String
  /// What would have been right: keys, words, or a description.
  public var expected: [String]
  /// What was most likely meant.
  public var suggestion: String?
  public var related: Related?
  /// The source line, secrets and unprintable characters masked, columns unmoved. nil: not to be shown.
  public var excerpt: String?

  public init(
    severity: Severity, code: Code, file: String, line: Int, column: Int, endColumn: Int, path: String = "",
    message: String, expected: [String] = [], suggestion: String? = nil, related: Related? = nil,
    excerpt: String? = nil
  ) {
    self.severity = severity
    self.code = code
    self.file = file
    self.line = line
    self.column = column
    self.endColumn = endColumn
    self.path = path
    self.message = message
    self.expected = expected
    self.suggestion = suggestion
    self.related = related
    self.excerpt = excerpt
  }
}

extension Diagnostic {
  /// `FILE:LINE:COLUMN: error: …`, the source line with the location marked, and what would have been right.
  /// Several lines, without a line break at the end.
  public func rendered() -> String {
    var lines = ["\(file):\(line):\(column): \(severity.rawValue): \(message)"]
    let gutter = String(repeating: " ", count: max(5, String(line).count + 1))
    if let excerpt {
      let number = String(repeating: " ", count: gutter.count - String(line).count) + String(line)
      // Tabs stay tabs, so that the mark stands below its text however wide they are shown.
      let indent = excerpt.unicodeScalars.prefix(column - 1).map { $0 == "\t" ? "\t" : " " }.joined()
      lines.append("\(number) | \(excerpt)")
      lines.append("\(gutter) | \(indent)^" + String(repeating: "~", count: max(0, endColumn - column - 1)))
    }
    var hints: [String] = []
    if let suggestion { hints.append("did you mean \"\(suggestion)\"?") }
    if !expected.isEmpty {
      let word = code == .unknownKey ? "allowed" : "expected"
      hints.append("\(word): \(expected.joined(separator: ", "))")
    }
    if !hints.isEmpty { lines.append("\(gutter) = \(hints.joined(separator: "  "))") }
    if let related {
      lines.append("\(gutter) = \(related.message) at \(related.file):\(related.line):\(related.column)")
    }
    return lines.joined(separator: "\n")
  }
}
