// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// What became of reading a configuration.
public struct ConfigurationReport: Sendable {
  /// nil exactly if there is an error among the diagnostics.
  public let configuration: Configuration?
  /// Sorted by place, the main file first.
  public let diagnostics: [Diagnostic]

  public init(configuration: Configuration?, diagnostics: [Diagnostic]) {
    self.configuration = configuration
    self.diagnostics = diagnostics
  }

  public var errors: [Diagnostic] { diagnostics.filter { $0.severity == .error } }
  public var warnings: [Diagnostic] { diagnostics.filter { $0.severity == .warning } }

  /// `3 errors, 1 warning`; empty where there is nothing to say.
  public var summary: String {
    let counts = [(errors.count, "error"), (warnings.count, "warning")]
    return counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }.joined(separator: ", ")
  }

  /// All diagnostics as text for people, and the summary as the last line.
  ///
  /// - Parameter limit: how many diagnostics to show; the rest is counted.
  public func rendered(limit: Int = 100) -> String {
    var lines = diagnostics.prefix(limit).map { $0.rendered() }
    if diagnostics.count > limit { lines.append("… and \(diagnostics.count - limit) more") }
    if !summary.isEmpty { lines.append(summary) }
    return lines.joined(separator: "\n")
  }

  /// The diagnostics as programs read them: `{"errors": […], "warnings": […]}`.
  public struct MachineForm: Codable, Hashable, Sendable {
    public var errors: [Diagnostic]
    public var warnings: [Diagnostic]

    public init(errors: [Diagnostic], warnings: [Diagnostic]) {
      self.errors = errors
      self.warnings = warnings
    }
  }

  public var machineForm: MachineForm { MachineForm(errors: errors, warnings: warnings) }
}
