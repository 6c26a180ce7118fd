// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
@preconcurrency internal import Dispatch
internal import Foundation
internal import NIOCore

/// Waits for the end of a drain, and tells how far it is.
struct DrainWatch {
  let name: BackendName
  let client: ControlClient
  let output: OutputFormat
  /// nil: as the pool says.
  let quiet: Seconds?
  /// Flows without a packet for so long are not waited for.
  let silent: Seconds
  let timeout: Seconds

  private enum Event {
    case tick, resized
  }

  /// Returns when no flow is left, or only silent ones are. SIGINT ends the process at once with code 130.
  /// - Throws: ExitCode 75 at the timeout; the drain goes on then.
  func run() async throws {
    let started = ContinuousClock.now
    let isUpdated = output == .table && isatty(STDOUT_FILENO) == 1
    var progress = ProgressLine(isUpdated: isUpdated)
    let interrupts = endAtInterrupt(leavingLine: isUpdated)
    defer { interrupts.cancel() }
    let events = Self.events()
    var wasLeaving = false
    // The first look comes at once.
    for await event in events {
      switch event {
      case .resized: progress.redraw()
      case .tick:
        let left = Double(timeout.count) - started.duration(to: .now) / .seconds(1)
        let status = try await look(&progress, wasLeaving: wasLeaving, within: left)
        let waited = started.duration(to: .now) / .seconds(1)
        if let status {
          if try tell(status, after: waited, &progress) { return }
          wasLeaving = status.state == "leaving"
        }
        guard waited >= Double(timeout.count) else { continue }
        progress.end()
        complain("\(name) is not drained after \(timeout); the drain goes on; \(undoing)")
        throw ExitCode(75)
      }
    }
  }

  private var undoing: String {
    "see it: sluice backend list \(name.pool); undo it: sluice backend undrain \(name)"
  }

  /// Ends the process at SIGINT, by a thread of its own: the daemon may not answer, and the output not be read.
  /// - Parameter leavingLine: whether the terminal's cursor is in a line of progress.
  private func endAtInterrupt(leavingLine: Bool) -> any DispatchSourceSignal {
    _ = signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT)
    source.setEventHandler {
      if leavingLine { try? FileHandle.standardOutput.write(contentsOf: Data("\n".utf8)) }
      complain("the drain of \(name) goes on; \(undoing)")
      _exit(130)
    }
    source.resume()
    return source
  }

  /// nil where the daemon does not answer: it may be restarting, and the drain does not depend on it.
  /// - Parameters:
  ///   - wasLeaving: whether the backend was leaving when it was last seen.
  ///   - seconds: what is left of ``timeout``; an answer is waited for no longer, but for a second.
  private func look(
    _ progress: inout ProgressLine, wasLeaving: Bool, within seconds: Double
  ) async throws -> DrainStatus? {
    var client = client
    client.answerTimeout = min(client.answerTimeout, .milliseconds(Int64(max(seconds, 1) * 1000)))
    let path = name.path + "/drain?silent=\(silent.count)" + (quiet.map { "&quiet=\($0.count)" } ?? "")
    do {
      return try ControlJSON.decode(DrainStatus.self, from: try await client.send(.GET, path))
    } catch let failure as Failure where failure.exitCode == 69 || failure.exitCode == 75 {
      try progress.show("\(name): the daemon does not answer; trying again")
      return nil
    } catch Failure.refused(status: 404, _) where wasLeaving {
      // What was leaving is released when its drain is over, or has taken as long as it may.
      return DrainStatus(
        pool: name.pool, backend: name.backend, state: "leaving", flows: 0, activeFlows: 0,
        silentAfterS: Double(silent.count), lastNewS: nil, quietS: 0, drained: true)
    } catch {
      progress.end()
      throw error
    }
  }

  /// - Returns: whether the drain is over.
  private func tell(
    _ status: DrainStatus, after waited: Double, _ progress: inout ProgressLine
  ) throws -> Bool {
    switch output {
    case .json:
      try progress.show(
        String(decoding: try ControlJSON.encode(status), as: UTF8.self),
        key: "\(status.flows) \(status.activeFlows) \(status.drained) \(status.onlySilent) "
          + (status.trouble ?? ""))
    case .table:
      let end = Self.end(status, after: waited)
      try progress.show(
        end ?? Self.line(status),
        key: end ?? "\(status.flows) \(status.activeFlows) \(status.trouble ?? "")")
    }
    if status.drained || status.onlySilent {
      progress.end()
      return true
    }
    guard status.state == "drain" || status.state == "leaving" else {
      progress.end()
      complain("\(name) does not drain any more: its state is \(status.state)")
      throw ExitCode(1)
    }
    return false
  }

  static func line(_ status: DrainStatus) -> String {
    let seen = status.lastNewS.map { ", last new one seen \(Int($0)) s ago" } ?? ""
    let once = status.unconfirmed > 0 ? ", \(status.unconfirmed) more heard once" : ""
    let unwritten =
      status.unwritten > 0
      ? "; \(counted(status.unwritten, "packet")) could not be remembered: new connections may reach it" : ""
    let trouble = status.trouble.map { "; not counted anew: \($0)" } ?? ""
    let active =
      status.activeFlows == status.flows
      ? "" : ", \(status.activeFlows) of them with a packet within \(duration(status.silentAfterS))"
    return
      "\(status.pool)/\(status.backend): at least \(counted(status.flows, "flow"))\(active)\(seen)\(once)\(unwritten)\(trouble)"
  }

  /// What is said when nothing is left to wait for; nil before.
  static func end(_ status: DrainStatus, after waited: Double) -> String? {
    let name = "\(status.pool)/\(status.backend)"
    if status.drained { return "\(name): drained after \(duration(waited))" }
    guard status.onlySilent else { return nil }
    return
      "\(name): nothing active is left after \(duration(waited)); \(counted(status.flows, "flow")) had no packet "
      + "for \(duration(status.silentAfterS)), and would break if they spoke again"
  }

  /// A tick each second, and changes of the terminal's size.
  private static func events() -> AsyncStream<Event> {
    // After an answer that took long, one tick is as good as all that it missed.
    AsyncStream(bufferingPolicy: .bufferingNewest(2)) { continuation in
      let resizes = DispatchSource.makeSignalSource(signal: SIGWINCH)
      resizes.setEventHandler { continuation.yield(.resized) }
      resizes.resume()
      let ticks = Task {
        while !Task.isCancelled {
          continuation.yield(.tick)
          try await Task.sleep(for: .seconds(1))
        }
      }
      continuation.onTermination = { _ in
        ticks.cancel()
        resizes.cancel()
      }
    }
  }
}
