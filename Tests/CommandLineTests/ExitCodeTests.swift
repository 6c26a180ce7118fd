// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import Testing

@testable import sluice

@Suite struct ExitCodeTests {
  private func refusal(_ code: String, _ message: String) -> String {
    Samples.json(ErrorReply(ErrorReply.Body(code: code, message: message)))
  }

  @Test(arguments: [(400, 1), (404, 1), (409, 1), (422, 65), (500, 1), (503, 1)])
  func `refusals tell the daemon's reason`(status: Int, code: Int32) throws {
    let body = refusal("some-code", "this is why")
    let daemon = try FakeDaemon { _ in (status, body) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["config", "reload"], daemon: daemon)
    #expect(run.code == code)
    #expect(run.output.isEmpty)
    #expect(run.errors == "sluice: this is why\n")
  }

  @Test func `a bad configuration is shown with its mistakes`() throws {
    let mistake = ConfigurationDiagnostic(
      file: "f", line: 2, column: 1, endColumn: 7, severity: "error", code: "unknown-key", path: "wieght",
      message: "unknown", expected: [], suggestion: nil, rendered: "f:2:1: error: unknown\n  wieght: 3")
    let body = Samples.json(
      ErrorReply(ErrorReply.Body(code: "configuration-invalid", message: "1 error", diagnostics: [mistake])))
    let daemon = try FakeDaemon { _ in (422, body) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["config", "reload"], daemon: daemon)
    #expect(run.code == 65)
    #expect(run.errors == "f:2:1: error: unknown\n  wieght: 3\nsluice: 1 error\n")
  }

  @Test func `an error that is not the API's names the request`() throws {
    let daemon = try FakeDaemon { _ in (502, "<html>") }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["status"], daemon: daemon)
    #expect(run.code == 1)
    #expect(run.errors.hasPrefix("sluice: GET /v1/status: 502"))
  }

  @Test func `an answer of another shape is no crash`() throws {
    let daemon = try FakeDaemon { _ in (200, "[]") }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["status"], daemon: daemon)
    #expect(run.code == 1)
    #expect(run.errors.hasPrefix("sluice: the daemon's answer does not fit this version of sluice"))
  }

  @Test(arguments: [
    ["backend", "drian", "web/a"], ["backend", "drain", "web"], ["backend", "set", "web/a"], ["--nonsense"],
    ["backend", "list", "-o", "xml"], ["api", "BREW", "/x"], ["api", "GET", "x y"],
  ])
  func `wrong usage is 64`(arguments: [String]) throws {
    #expect(try Invocation.sluice(arguments).code == 64)
  }

  @Test func `a mistyped verb gets the right one`() throws {
    let run = try Invocation.sluice(["backend", "drian", "web/a"])
    #expect(
      run.errors.hasPrefix("sluice: sluice backend has no subcommand \"drian\"; did you mean \"drain\"?"))
  }

  @Test func `no daemon is 69, with the socket and the cure`() throws {
    let absent = try Invocation.sluice(["status", "--socket", "/tmp/sl-cli-absent.sock"])
    #expect(absent.code == 69)
    #expect(
      absent.errors.contains("/tmp/sl-cli-absent.sock") && absent.errors.contains("systemctl start sluiced"))
    let daemon = try FakeDaemon { _ in nil }
    let closed = try Invocation.sluice(["status"], daemon: daemon)
    #expect(closed.code == 69)
    #expect(closed.errors.contains("closed the connection without an answer"))
    daemon.stop()
    let long = "/tmp/" + String(repeating: "x", count: 120)
    let tooLong = try Invocation.sluice(["status", "--socket", long])
    #expect(tooLong.code == 69)
    #expect(tooLong.errors.contains("at most 107 bytes"))
  }

  @Test func `a dead daemon's socket is 69`() throws {
    let daemon = try FakeDaemon { _ in nil }
    defer { unlink(daemon.socket) }
    daemon.stop(unlinking: false)
    let run = try Invocation.sluice(["status"], daemon: daemon)
    #expect(run.code == 69)
    #expect(run.errors.contains("no process listens on \(daemon.socket)"))
  }

  @Test func `no answer in time is 75`() async throws {
    let daemon = try FakeDaemon(silent: true) { _ in nil }
    defer { daemon.stop() }
    let client = ControlClient(socket: daemon.socket, answerTimeout: .milliseconds(50))
    let failure = await #expect(throws: Failure.self) { try await client.send(.GET, "/v1/status") }
    #expect(failure?.exitCode == 75)
  }

  @Test func `a check is waited for longer than the daemon may take for it`() throws {
    let run = try CheckCommand.Run.parse(["web/web1", "--socket", "/tmp/no.sock"])
    #expect(run.client.socket == "/tmp/no.sock")
    #expect(run.client.answerTimeout.nanoseconds > CheckReport.patience.components.seconds * 1_000_000_000)
  }

  @Test(.enabled(if: geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv")))
  func `a closed socket is 77 and names the group`() throws {
    let daemon = try FakeDaemon { _ in nil }
    defer { daemon.stop() }
    chmod(daemon.socket, 0o660)
    let nobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    let roots = try Invocation.sluice(["status"], daemon: daemon, wrapper: nobody)
    #expect(roots.code == 77)
    #expect(roots.errors.contains("only root is"))
    chown(daemon.socket, 0, 1)
    let groups = try Invocation.sluice(["status"], daemon: daemon, wrapper: nobody)
    #expect(groups.code == 77)
    #expect(groups.errors.contains("group \"daemon\"") && groups.errors.contains("usermod -aG daemon"))
  }

  @Test func `config check tells a good file from a bad one`() throws {
    let path = "/tmp/sl-cli-\(getpid())-check.yaml"
    defer { unlink(path) }
    try Data("version: 1\nwieght: 3\n".utf8).write(to: URL(fileURLWithPath: path))
    let bad = try Invocation.sluice(["config", "check", path])
    #expect(bad.code == 65)
    #expect(bad.output.isEmpty && bad.errors.contains("\(path):2:1: error: unknown key"))
    let machine = try Invocation.sluice(["config", "check", path, "-o", "json"])
    #expect(machine.code == 65)
    #expect(machine.errors.isEmpty && machine.output.contains("\"code\": \"unknown-key\""))
    let lab = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../config/lab.yaml").standardized
    let good = try Invocation.sluice(["config", "check", lab.path])
    #expect(good.code == 0)
    #expect(good.output == "\(lab.path): ok: 12 virtual services, 2 pools\n")
  }

  /// Root can read what the daemon cannot. The owner of the control socket is the daemon's user.
  @Test(.enabled(if: geteuid() == 0)) func `config check by root names what the daemon's user cannot read`()
    throws
  {
    let daemon = try FakeDaemon { _ in nil }
    defer { daemon.stop() }
    let directory = "/tmp/sl-cli-\(getpid())-user"
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let (path, seed, authorities) = ("\(directory)/sluice.yaml", "\(directory)/seed", "\(directory)/ca.pem")
    let text = """
      version: 1
      interfaces: [{ name: eth0 }]
      hash_seed_file: \(seed)
      control: { socket: \(daemon.socket) }
      pools:
        web: { check: { type: https, tls_ca: \(authorities) }, backends: [{ name: b, address: 10.0.0.1 }] }
      services: [{ name: w, vips: [192.0.2.1], ports: [443/tcp], pool: web }]
      """
    for (file, content) in [(path, text), (seed, "a secret of the tests"), (authorities, "")] {
      try Data(content.utf8).write(to: URL(fileURLWithPath: file))
      chmod(file, file == path ? 0o644 : 0o600)
    }
    let nobody: uid_t = 65534
    for (owner, warned) in [(0, false), (nobody, true)] {
      chown(daemon.socket, owner, gid_t.max)
      let run = try Invocation.sluice(["config", "check", path])
      #expect(run.code == 0, "\(run)")
      #expect(run.output == "\(path): ok: 1 virtual service, 1 pool\n")
      #expect(run.errors.contains("\(path):3:17: warning: for the daemon's user, nobody") == warned, "\(run)")
      #expect(run.errors.contains("cannot read \(seed): ") == warned)
    }
    chmod(seed, 0o640)
    chown(seed, 0, 65534)
    let run = try Invocation.sluice(["config", "check", path])
    #expect(
      !run.errors.contains(seed) && run.errors.contains("nobody: cannot read \(authorities): "), "\(run)")
  }

  @Test func `a full disk is a failure`() throws {
    let daemon = try FakeDaemon { _ in (200, "{}") }
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["metrics"], daemon: daemon, wrapper: ["/bin/bash", "-c", #""$0" "$@" >/dev/full"#])
    #expect(run.code == 1)
    #expect(run.errors.hasPrefix("sluice: cannot write the output"))
  }
}
