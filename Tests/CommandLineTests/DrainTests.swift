// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import Synchronization
import Testing

@testable import sluice

/// `sluice backend drain --wait`.
@Suite struct DrainTests {
  private static func status(
    _ flows: Int, active: Int? = nil, drained: Bool = false, onlySilent: Bool = false,
    state: String = "drain",
    unconfirmed: Int = 0, unwritten: Int = 0, trouble: String? = nil
  ) -> DrainStatus {
    DrainStatus(
      pool: "web", backend: "web2", state: state, flows: flows, activeFlows: active ?? flows,
      silentAfterS: 300, lastNewS: 3.7, quietS: 60, drained: drained, onlySilent: onlySilent,
      unconfirmed: unconfirmed, unwritten: unwritten, trouble: trouble)
  }

  /// A daemon that accepts the drain and then tells one status after the other, the last one for ever; nil: no answer.
  private static func daemon(_ statuses: [DrainStatus?]) throws -> FakeDaemon {
    let left = Mutex(statuses)
    return try FakeDaemon { request in
      guard request.method == "GET" else { return (200, Samples.json(Samples.reply(dryRun: false))) }
      let status = left.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
      return status.map { (200, Samples.json($0)) }
    }
  }

  @Test func `a line for each change, and the end`() throws {
    let daemon = try Self.daemon([
      Self.status(12), Self.status(12), Self.status(1), Self.status(0, drained: true),
    ])
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["backend", "drain", "web/web2", "--wait", "--quiet", "2m"], daemon: daemon)
    #expect(run.code == 0, "\(run.errors)")
    let lines = run.output.split(separator: "\n").suffix(3)
    #expect(
      Array(lines) == [
        "web/web2: at least 12 flows, last new one seen 3 s ago",
        "web/web2: at least 1 flow, last new one seen 3 s ago", "web/web2: drained after 3s",
      ])
    let paths = daemon.requests.map { "\($0.method) \($0.path)" }
    #expect(paths.first == "PATCH /v1/pools/web/backends/web2")
    #expect(Set(paths.dropFirst()) == ["GET /v1/pools/web/backends/web2/drain?silent=300&quiet=120"])
  }

  @Test func `that flows cannot be counted is told`() throws {
    let daemon = try Self.daemon([
      Self.status(1), Self.status(1, trouble: "the flow table could not be read: EINVAL"),
      Self.status(0, drained: true),
    ])
    defer { daemon.stop() }
    let run = try Invocation.sluice(["backend", "drain", "web/web2", "--wait"], daemon: daemon)
    #expect(run.code == 0, "\(run.errors)")
    #expect(
      run.output.split(separator: "\n").suffix(3).dropLast() == [
        "web/web2: at least 1 flow, last new one seen 3 s ago",
        "web/web2: at least 1 flow, last new one seen 3 s ago; not counted anew: the flow table could not be read: "
          + "EINVAL",
      ])
  }

  @Test func `flows without packets are told apart, and are not waited for`() throws {
    let daemon = try Self.daemon([
      Self.status(9), Self.status(9, active: 2), Self.status(8, active: 0),
      Self.status(8, active: 0, onlySilent: true),
    ])
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["backend", "drain", "web/web2", "--wait", "--silent", "5m"], daemon: daemon)
    #expect(run.code == 0, "\(run.errors)")
    #expect(
      run.output.split(separator: "\n").suffix(4) == [
        "web/web2: at least 9 flows, last new one seen 3 s ago",
        "web/web2: at least 9 flows, 2 of them with a packet within 5m0s, last new one seen 3 s ago",
        "web/web2: at least 8 flows, 0 of them with a packet within 5m0s, last new one seen 3 s ago",
        "web/web2: nothing active is left after 3s; 8 flows had no packet for 5m0s, and would break if they spoke again",
      ])
  }

  @Test func `what was heard once and what could not be remembered is told`() throws {
    let daemon = try Self.daemon([
      Self.status(12, unconfirmed: 30, unwritten: 7), Self.status(0, drained: true),
    ])
    defer { daemon.stop() }
    let run = try Invocation.sluice(["backend", "drain", "web/web2", "--wait"], daemon: daemon)
    #expect(run.code == 0, "\(run.errors)")
    #expect(
      run.output.contains(
        "web/web2: at least 12 flows, last new one seen 3 s ago, 30 more heard once; "
          + "7 packets could not be remembered: new connections may reach it\n"))
  }

  @Test func `JSON comes as a line for each object`() throws {
    let daemon = try Self.daemon([Self.status(2), Self.status(0, drained: true)])
    defer { daemon.stop() }
    let run = try Invocation.sluice(["backend", "drain", "web/web2", "--wait", "-o", "json"], daemon: daemon)
    #expect(run.code == 0)
    let lines = run.output.split(separator: "\n").map { Array($0.utf8) }
    #expect(lines.count == 3)
    #expect(try ControlJSON.decode(ChangeReply.self, from: lines[0]).generation == 5)
    #expect(try lines.dropFirst().map { try ControlJSON.decode(DrainStatus.self, from: $0).flows } == [2, 0])
  }

  @Test func `at the timeout the drain goes on, and the way back is told`() throws {
    let daemon = try Self.daemon([Self.status(2)])
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["backend", "drain", "web/web2", "--wait", "--timeout", "1s"], daemon: daemon)
    #expect(run.code == 75)
    #expect(run.errors.contains("web/web2 is not drained after 1s; the drain goes on"))
    #expect(run.errors.contains("sluice backend undrain web/web2"))
  }

  @Test func `a daemon that restarts is waited for`() throws {
    let daemon = try Self.daemon([Self.status(2), nil, Self.status(0, drained: true)])
    defer { daemon.stop() }
    let run = try Invocation.sluice(["backend", "drain", "web/web2", "--wait"], daemon: daemon)
    #expect(run.code == 0)
    #expect(
      run.output.contains("web/web2: the daemon does not answer; trying again\nweb/web2: drained after"))
  }

  @Test func `who is taken back does not drain any more`() throws {
    let daemon = try Self.daemon([Self.status(2), Self.status(2, state: "ready")])
    defer { daemon.stop() }
    let run = try Invocation.sluice(["backend", "drain", "web/web2", "--wait"], daemon: daemon)
    #expect(run.code == 1)
    #expect(run.errors.contains("its state is ready"))
  }

  @Test func `Ctrl-C ends the waiting only`() throws {
    let daemon = try Self.daemon([Self.status(2)])
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["backend", "drain", "web/web2", "--wait"], daemon: daemon,
      wrapper: ["/usr/bin/timeout", "--foreground", "--preserve-status", "-s", "INT", "2.5"])
    #expect(run.code == 130)
    #expect(run.errors.contains("the drain of web/web2 goes on"))
    #expect(run.errors.contains("sluice backend undrain web/web2"))
  }

  /// A daemon that accepts a drain, and answers nothing else.
  private static func hangingDaemon() throws -> FakeDaemon {
    try FakeDaemon { request in
      guard request.method == "GET" else { return (200, Samples.json(Samples.reply(dryRun: false))) }
      while true { sleep(1000) }
    }
  }

  /// A command that goes on for 15 s after SIGINT is killed.
  @Test func `Ctrl-C ends the waiting while the daemon hangs`() throws {
    let daemon = try Self.hangingDaemon()
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["backend", "drain", "web/web2", "--wait"], daemon: daemon,
      wrapper: ["/usr/bin/timeout", "--foreground", "--preserve-status", "-k", "15", "-s", "INT", "4"])
    #expect(run.code == 130, "\(run)")
    #expect(run.errors.contains("the drain of web/web2 goes on"))
    #expect(daemon.requests.map(\.method) == ["PATCH", "GET"])
  }

  /// Without an answer a request ends after 30 s.
  @Test func `the timeout ends the waiting while the daemon hangs`() throws {
    let daemon = try Self.hangingDaemon()
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["backend", "drain", "web/web2", "--wait", "--timeout", "2s"], daemon: daemon,
      wrapper: ["/usr/bin/timeout", "--foreground", "-s", "KILL", "20"])
    #expect(run.code == 75, "\(run)")
    #expect(run.errors.contains("web/web2 is not drained after 2s; the drain goes on"))
  }

  @Test(arguments: [
    ["backend", "drain", "web/web2", "--wait"], ["config", "reload", "--wait"], ["check", "run", "web/web2"],
    ["events", "--follow"], ["status"],
  ])
  func `Ctrl-C ends each command while the daemon hangs`(arguments: [String]) throws {
    let daemon = try FakeDaemon(silent: true) { _ in nil }
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      arguments, daemon: daemon,
      wrapper: ["/usr/bin/timeout", "--foreground", "--preserve-status", "-k", "15", "-s", "INT", "2"])
    #expect(run.code == 130, "\(run)")
  }

  /// Runs what follows on a terminal of 40 columns, which becomes one of 20 when the first line is there.
  private static let terminal = """
    import fcntl, os, pty, struct, sys, termios
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.argv[1], sys.argv[1:])
    def widen(columns):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    widen(40)
    shown, columns = b"", 40
    while True:
        try:
            octets = os.read(terminal, 4096)
        except OSError:
            break
        shown += octets
        if columns == 40 and b"flows" in shown:
            columns = 20
            shown += b"|"
            widen(columns)
    sys.stdout.buffer.write(shown)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """

  @Test func `on a terminal it is one line, as wide as the terminal is now`() throws {
    let daemon = try Self.daemon([
      Self.status(12), Self.status(11), Self.status(10), Self.status(0, drained: true),
    ])
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["backend", "drain", "web/web2", "--wait"], daemon: daemon,
      wrapper: ["/usr/bin/python3", "-c", Self.terminal])
    #expect(run.code == 0, "\(run)")
    let parts = run.output.replacingOccurrences(of: "\r\n", with: "").split(separator: "|")
    try #require(parts.count == 2, "\(run.output)")
    let lines = parts.map {
      $0.split(separator: "\r").filter { $0.hasSuffix("\u{1B}[K") }.map { $0.dropLast(3) }
    }
    #expect(lines[0].last == "web/web2: at least 12 flows, last new …")
    #expect(lines[1].first == "web/web2: at least…", "the change of width is followed at once")
    #expect(lines[1].count >= 4 && lines[1].allSatisfy { displayWidth(String($0)) < 20 })
    #expect(lines[1].last == "web/web2: drained …")
  }

  @Test func `a refusal shows the effect`() throws {
    let reply = ErrorReply(
      ErrorReply.Body(
        code: "pool-floor", message: "pool web requires 2 backends",
        effect: Samples.reply(dryRun: true).effect))
    let daemon = try FakeDaemon { _ in (409, Samples.json(reply)) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["backend", "drain", "web/web2", "--wait"], daemon: daemon)
    #expect(run.code == 1)
    #expect(
      run.errors == """
        sluice: pool web requires 2 backends
          ~ backend web/web2 state ready -> drain
          pool web: 12.3 % of slots move (8062 of 65537)
          warning: no backend is left

        """)
    #expect(daemon.requests.count == 1)
  }

  @Test func `a line fits the terminal`() {
    #expect(fitting("abc", columns: 3) == "abc")
    #expect(fitting("abcd", columns: 3) == "ab…")
    #expect(fitting("負荷負荷", columns: 5) == "負荷…")
    #expect(fitting("abcd", columns: 0).isEmpty)
  }

  @Test(arguments: [("90s", 90), ("10m", 600), ("2h", 7200), ("0s", 0)])
  func `times are written as in the configuration`(text: String, seconds: Int) {
    #expect(Seconds(argument: text)?.count == seconds)
    #expect(Seconds(argument: text)?.description == (text == "90s" ? "90s" : text))
  }

  @Test(arguments: ["", "5", "s", "-1s", "1.5h", "1d", "999999h", "99999999999999999999s"])
  func `other times are refused`(text: String) { #expect(Seconds(argument: text) == nil) }
}
