// SPDX-License-Identifier: Apache-2.0

/// `POST /v1/config/check`, where the configuration can be used; otherwise the answer is an error (422).
public struct ConfigurationCheck: Codable, Hashable, Sendable {
  public var services: Int
  public var pools: Int
  public var warnings: [ConfigurationDiagnostic]

  public init(services: Int, pools: Int, warnings: [ConfigurationDiagnostic]) {
    self.services = services
    self.pools = pools
    self.warnings = warnings
  }
}

/// One mistake in a configuration, with its position. The keys are those of `sluice config check -o json`.
public struct ConfigurationDiagnostic: Codable, Hashable, Sendable {
  public var file: String
  /// Counted from 1.
  public var line: Int
  /// Counted from 1, in Unicode scalars.
  public var column: Int
  /// The column after the last one concerned. `endColumn` on the wire too.
  public var endColumn: Int
  /// `error` or `warning`.
  public var severity: String
  /// Stable: `unknown-key`, …
  public var code: String
  /// Where in the schema: `pools.web.backends[1].wieght`.
  public var path: String
  public var message: String
  public var expected: [String]
  public var suggestion: String?
  /// For people: `FILE:LINE:COLUMN: error: …`, the source line, and what would have been right.
  public var rendered: String

  public init(
    file: String, line: Int, column: Int, endColumn: Int, severity: String, code: String, path: String,
    message: String, expected: [String], suggestion: String?, rendered: String
  ) {
    self.file = file
    self.line = line
    self.column = column
    self.endColumn = endColumn
    self.severity = severity
    self.code = code
    self.path = path
    self.message = message
    self.expected = expected
    self.suggestion = suggestion
    self.rendered = rendered
  }
}
