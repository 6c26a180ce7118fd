// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI

/// Shows events as they come, across restarts of the daemon.
struct EventWatch {
  let client: ControlClient
  let output: OutputFormat
  private var path: EventPath
  /// The daemon's sequence that the latest event belongs to.
  private var sequence: String?
  private var hasAnswered = false
  private var isLost = false

  init(client: ControlClient, output: OutputFormat, path: EventPath) {
    self.client = client
    self.output = output
    self.path = path
    self.path.follows = true
  }

  /// Ends with the output, with a signal, or with a failure.
  /// - Throws: ``Failure``: the daemon refuses, or was not there from the beginning.
  mutating func run() async throws {
    while true {
      do {
        if try await !client.stream(path.text, { part in try show(part) }) { continue }
      } catch let failure as Failure where hasAnswered && failure.isTemporary {
        // It may be restarting.
      }
      if !isLost { complain("the daemon does not answer; trying again") }
      isLost = true
      try await Task.sleep(for: .seconds(1))
    }
  }

  /// - Returns: whether to go on with this answer.
  private mutating func show(_ part: ControlClient.StreamPart) throws -> Bool {
    switch part {
    case .began(let sequence): return begin(sequence)
    case .line(let octets):
      let event = try ControlJSON.decode(Event.self, from: octets)
      if let number = event.seq { path.since = number }
      switch output {
      case .json: try write(octets + [0x0a])
      case .table where event.type == "heartbeat": break
      case .table: try write(visible(Rendering.event(event)))
      }
      return true
    }
  }

  private mutating func begin(_ sequence: String?) -> Bool {
    defer { (self.sequence, hasAnswered) = (sequence, true) }
    guard hasAnswered, sequence != self.sequence else {
      if isLost { complain("the daemon answers again") }
      isLost = false
      return true
    }
    complain("the daemon was restarted: events are numbered from 1 again")
    (path.since, isLost) = (0, false)
    return false
  }
}

extension Failure {
  /// Whether trying again may help.
  fileprivate var isTemporary: Bool {
    switch self {
    case .unreachable, .timedOut, .closed: true
    case .refused, .unintelligible: false
    }
  }
}
