// SPDX-License-Identifier: Apache-2.0
public import Logging

/// Log lines, one per event: the journal's level prefix, the message, then `key=value` pairs.
public struct LogLine: LogHandler {
  public var logLevel: Logger.Level
  public var metadata: Logger.Metadata = [:]
  private let hasLevelPrefix: Bool
  private let queue: LogQueue

  /// - Parameters:
  ///   - journal: the lines go to the journal, which reads `<N>` as the level and adds the time itself.
  ///   - queue: what writes the lines.
  public init(level: Logger.Level, journal: Bool, queue: LogQueue = .standardError) {
    logLevel = level
    hasLevelPrefix = journal
    self.queue = queue
    queue.setPrefix(Self.start(.warning, journal))
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    let pairs = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
      .map { "\($0.key)=\(Self.quoted("\($0.value)"))" }
    let start = Self.start(event.level, hasLevelPrefix)
    queue.append(([start + Self.printable("\(event.message)")] + pairs).joined(separator: " ") + "\n")
  }

  private static func start(_ level: Logger.Level, _ hasLevelPrefix: Bool) -> String {
    hasLevelPrefix ? "<\(priority(level))>" : "\(level): "
  }

  /// The syslog priorities (RFC 5424 §6.2.1).
  private static func priority(_ level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }

  /// A hostile name must not begin a line of its own.
  private static func printable(_ text: String) -> String {
    String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : Character($0) })
  }

  private static func quoted(_ text: String) -> String {
    let safe = printable(text)
    guard safe.isEmpty || safe.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" }) else { return safe }
    return "\"" + safe.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}
