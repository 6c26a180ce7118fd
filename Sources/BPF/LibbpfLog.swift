// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc
internal import Synchronization

/// Where libbpf's messages go. libbpf itself prints nothing to standard error once this target is in use:
/// warnings about a failing call become the detail of its `BPFError`, and all lines go to the sink.
public enum LibbpfLog {
  public enum Level: Sendable {
    case warning, information, debug
  }

  /// Receives each line, without its line break, on the thread of the call that caused it. It must not call
  /// this target. The first sink is none.
  public static var sink: (@Sendable (Level, String) -> Void)? {
    get { state.withLock { $0.sink } }
    set {
      install()
      state.withLock { $0.sink = newValue }
    }
  }

  private struct State {
    var sink: (@Sendable (Level, String) -> Void)?
    /// The warnings since a thread began to collect them.
    var collected: [pthread_t: [String]] = [:]
  }

  private static let state = Mutex(State())

  /// Runs `body` and keeps the warnings that libbpf wrote meanwhile on this thread.
  static func collectingWarnings<Result>(_ body: () -> Result) -> (result: Result, warnings: [String]) {
    install()
    let thread = pthread_self()
    state.withLock { $0.collected[thread] = [] }
    let result = body()
    return (result, state.withLock { $0.collected.removeValue(forKey: thread) } ?? [])
  }

  private static func install() { installed }

  private static let installed: Void = {
    unsafe libbpf_set_print { level, format, arguments in
      guard let format = unsafe format, let arguments = unsafe arguments else { return 0 }
      let level = Level(level)
      guard LibbpfLog.isWanted(level) else { return 0 }
      var buffer = [CChar](repeating: 0, count: 1024)
      unsafe vsnprintf(&buffer, buffer.count, format, arguments)
      LibbpfLog.write(level, string(fromCharacters: buffer))
      return 0
    }
  }()

  /// libbpf logs every step at debug level; most are not worth formatting.
  private static func isWanted(_ level: Level) -> Bool {
    state.withLock { $0.sink != nil || level == .warning && $0.collected[pthread_self()] != nil }
  }

  private static func write(_ level: Level, _ message: String) {
    let lines = message.split(separator: "\n").map { line in
      String(line.hasPrefix("libbpf: ") ? line.dropFirst("libbpf: ".count) : line)
    }
    let sink = state.withLock { state in
      if level == .warning { state.collected[pthread_self()]?.append(contentsOf: lines) }
      return state.sink
    }
    for line in lines { sink?(level, line) }
  }
}

extension LibbpfLog.Level {
  fileprivate init(_ level: libbpf_print_level) {
    self =
      switch level {
      case LIBBPF_WARN: .warning
      case LIBBPF_INFO: .information
      default: .debug
      }
  }
}
