// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import Testing

@testable import sluice

/// What commands ask of the daemon, and what they print of its answers.
@Suite struct CommandTests {
  private static let change = "/v1/pools/web/backends/web2"

  @Test(arguments: [
    ("drain", ["--reason", "x"], "PATCH", change, #"{"reason":"x","state":"drain"}"#),
    ("drain", ["--force", "--dry-run"], "PATCH", change + "?force=1&dry_run=1", #"{"state":"drain"}"#),
    ("maint", ["--force"], "PATCH", change + "?force=1", #"{"state":"maint"}"#),
    ("set", ["--weight", "0", "--force"], "PATCH", change + "?force=1", #"{"weight":0}"#),
    ("undrain", [], "PATCH", change, #"{"state":"ready"}"#),
    ("maint", ["--dry-run"], "PATCH", change + "?dry_run=1", #"{"state":"maint"}"#),
    ("set", ["--weight", "50"], "PATCH", change, #"{"weight":50}"#),
    (
      "add", ["--address", "10.0.0.12", "--weight", "7", "--state", "drain"], "POST", change,
      #"{"address":"10.0.0.12","state":"drain","weight":7}"#
    ),
    ("remove", [], "DELETE", change, ""),
    (
      "remove", ["--force", "--reason", "a & b", "--dry-run"], "DELETE",
      change + "?force=1&reason=a%20%26%20b&dry_run=1", ""
    ),
  ])
  func `changes of backends`(
    verb: String, options: [String], method: String, path: String, body: String
  ) throws {
    let daemon = try FakeDaemon { _ in (200, Samples.json(Samples.reply(dryRun: false))) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["backend", verb, "web/web2"] + options, daemon: daemon)
    #expect(run.code == 0)
    #expect(run.errors.isEmpty)
    #expect(daemon.requests == [FakeDaemon.Request(method: method, path: path, body: body)])
  }

  @Test func `a dry run shows the effect and that nothing was changed`() throws {
    let daemon = try FakeDaemon { _ in (200, Samples.json(Samples.reply(dryRun: true))) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["backend", "drain", "web/web2", "--dry-run"], daemon: daemon)
    #expect(
      run.output == """
        ~ backend web/web2 state ready -> drain
        pool web: 12.3 % of slots move (8062 of 65537)
        warning: no backend is left
        dry run: nothing was changed

        """)
  }

  @Test(arguments: [
    (["status"], "GET /v1/status"), (["service", "list"], "GET /v1/services"),
    (["service", "show", "a b"], "GET /v1/services/a%20b"), (["pool", "list"], "GET /v1/pools"),
    (["backend", "list"], "GET /v1/backends"), (["backend", "list", "web"], "GET /v1/pools/web/backends"),
    (["config", "diff"], "GET /v1/config/diff"), (["config", "show"], "GET /v1/config"),
    (["config", "reload"], "POST /v1/config/reload"),
    (["config", "reload", "--wait"], "POST /v1/config/reload"),
    (["config", "reload", "--dry-run"], "POST /v1/config/reload?dry_run=1"),
    (["config", "reload", "--force"], "POST /v1/config/reload?force=1"), (["metrics"], "GET /metrics"),
    (["detach"], "POST /v1/detach"), (["detach", "--dry-run"], "POST /v1/detach?dry_run=1"),
    (["api", "delete", "/v1/x?y=1"], "DELETE /v1/x?y=1"),
  ])
  func `every command asks for its path`(arguments: [String], request: String) throws {
    let daemon = try FakeDaemon { _ in (200, "{}") }
    defer { daemon.stop() }
    _ = try Invocation.sluice(arguments, daemon: daemon)
    #expect(daemon.requests.map { "\($0.method) \($0.path)" } == [request])
  }

  @Test(arguments: [
    (["status"], "GET /v1/status"), (["backend", "list", "web"], "GET /v1/pools/web/backends"),
  ])
  func `options may stand before the subcommand`(command: [String], request: String) throws {
    let daemon = try FakeDaemon { _ in (200, "[]") }
    defer { daemon.stop() }
    for place in 0..<min(command.count, 2) {
      var words = command
      words.insert(contentsOf: ["--socket", daemon.socket, "-o", "json"], at: place)
      let run = try Invocation.sluice(words)
      #expect((run.code, run.output) == (0, "[]\n"), "\(words)")
    }
    #expect(Set(daemon.requests.map { "\($0.method) \($0.path)" }) == [request])
  }

  @Test(arguments: [["--version"], ["--help"], ["-h"], ["--socket", "x", "--help"]])
  func `options of the command itself stay`(arguments: [String]) throws {
    #expect(try Invocation.sluice(arguments).code == 0)
  }

  @Test func `detaching tells its effect`() throws {
    let reply = ChangeReply(
      generation: 5, dryRun: true,
      effect: ChangeEffect(changes: ["- forwarding of all services"], pools: [], warnings: []))
    let daemon = try FakeDaemon { _ in (200, Samples.json(reply)) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["detach", "--dry-run"], daemon: daemon)
    #expect(run.code == 0)
    #expect(run.output == "- forwarding of all services\ndry run: nothing was changed\n")
  }

  @Test func `JSON is the answer, also where its keys are not known`() throws {
    let daemon = try FakeDaemon { _ in (200, #"{"new_key":18446744073709551615}"#) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["status", "-o", "json"], daemon: daemon)
    #expect(run.code == 0)
    #expect(run.output == "{\n  \"new_key\": 18446744073709551615\n}\n")
  }

  @Test func `raw answers come as they are`() throws {
    let daemon = try FakeDaemon { _ in (200, "sluice_up 1\n") }
    defer { daemon.stop() }
    #expect(try Invocation.sluice(["metrics"], daemon: daemon).output == "sluice_up 1\n")
  }

  @Test func `a reader that leaves ends the command quietly`() throws {
    let daemon = try FakeDaemon { _ in (200, String(repeating: "x", count: 1 << 20)) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["metrics"], daemon: daemon, wrapper: ["/bin/bash", "-c", #""$0" "$@" | true; exit ${PIPESTATUS[0]}"#])
    #expect(run.code == 128 + SIGPIPE)
    #expect(run.errors.isEmpty)
  }

  @Test func `every command explains itself with an example`() throws {
    let commands = [
      "status", "service", "service list", "service show", "pool", "pool list", "backend", "backend list",
      "backend add", "backend remove", "backend set", "backend drain", "backend undrain", "backend maint",
      "config", "config check", "config diff", "config reload", "config show", "config schema", "metrics",
      "detach", "api",
    ]
    for command in commands {
      let words = command.split(separator: " ").map(String.init)
      let run = try Invocation.sluice(words + ["--help"])
      #expect(run.code == 0)
      #expect(run.output.contains("EXAMPLE") && run.output.contains("sluice \(command)"), "\(command)")
    }
  }
}
