// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// The result of reading a configuration.
public struct ConfigurationReport: Sendable {
  /// nil exactly if there is an error among the diagnostics.
  public let configuration: Configuration?
  /// The first hundred errors and the first hundred warnings, sorted by location, the main file first.
  public let diagnostics: [Diagnostic]
  /// The number of all errors. A mistake that aliases repeat counts once among the first hundred.
  public let errorCount: Int
  /// The number of all warnings, counted likewise.
  public let warningCount: Int
  /// The work of reading: see ``Findings/steps``.
  let steps: Int

  public init(configuration: Configuration?, diagnostics: [Diagnostic]) {
    let errorCount = diagnostics.count { $0.severity == .error }
    self.init(
      configuration: configuration, diagnostics: diagnostics, errorCount: errorCount,
      warningCount: diagnostics.count - errorCount)
  }

  init(
    configuration: Configuration?, diagnostics: [Diagnostic], errorCount: Int, warningCount: Int,
    steps: Int = 0
  ) {
    self.configuration = configuration
    self.diagnostics = diagnostics
    self.errorCount = errorCount
    self.warningCount = warningCount
    self.steps = steps
  }

  /// The same with further warnings after the others.
  public func adding(warnings: [Diagnostic]) -> ConfigurationReport {
    ConfigurationReport(
      configuration: configuration, diagnostics: diagnostics + warnings, errorCount: errorCount,
      warningCount: warningCount + warnings.count, steps: steps)
  }

  public var errors: [Diagnostic] { diagnostics.filter { $0.severity == .error } }
  public var warnings: [Diagnostic] { diagnostics.filter { $0.severity == .warning } }

  /// `3 errors, 1 warning`; empty if there are none.
  public var summary: String {
    let counts = [(errorCount, "error"), (warningCount, "warning")]
    return counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }.joined(separator: ", ")
  }

  /// All diagnostics as text for people, and the summary as the last line.
  ///
  /// - Parameter limit: how many diagnostics to show; the rest is counted.
  public func rendered(limit: Int = 100) -> String {
    var lines = diagnostics.prefix(limit).map { $0.rendered() }
    let more = errorCount + warningCount - lines.count
    if more > 0 { lines.append("… and \(more) more") }
    if !summary.isEmpty { lines.append(summary) }
    return lines.joined(separator: "\n")
  }

  /// The diagnostics as programs read them: `{"errors": […], "warnings": […]}`.
  public struct MachineForm: Codable, Hashable, Sendable {
    public var errors: [Diagnostic]
    public var warnings: [Diagnostic]
    /// The number of errors and warnings beyond those; nil: none.
    public var more: Int?

    public init(errors: [Diagnostic], warnings: [Diagnostic], more: Int? = nil) {
      self.errors = errors
      self.warnings = warnings
      self.more = more
    }
  }

  public var machineForm: MachineForm {
    let more = errorCount + warningCount - diagnostics.count
    return MachineForm(errors: errors, warnings: warnings, more: more > 0 ? more : nil)
  }
}
