// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What cuts off connections is asked about on a terminal, and only there.
@Suite struct ConfirmationTests {
  /// Runs a command whose stdin is a terminal where somebody has typed.
  private func typing(_ text: String, _ arguments: [String]) throws -> (Invocation, requests: Int) {
    let master = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    try #require(master >= 0)
    defer { close(master) }
    var number: Int32 = 0
    var lock: Int32 = 0
    // TIOCGPTN and TIOCSPTLCK: which terminal it is, and that it may be opened.
    try #require(ioctl(master, 0x8004_5430, &number) == 0 && ioctl(master, 0x4004_5431, &lock) == 0)
    let terminal = try #require(FileHandle(forUpdatingAtPath: "/dev/pts/\(number)"))
    try #require(write(master, text, text.utf8.count) == text.utf8.count)
    let daemon = try FakeDaemon { _ in (200, Samples.json(Samples.reply(dryRun: false))) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(arguments, daemon: daemon, input: terminal)
    return (run, daemon.requests.count)
  }

  @Test(arguments: [["backend", "maint", "web/a"], ["backend", "remove", "web/a"], ["detach"]])
  func `no means no`(arguments: [String]) throws {
    let (run, requests) = try typing("n\n", arguments)
    #expect(run.code == 1)
    #expect(requests == 0)
    #expect(run.errors.contains("[y/N]") && run.errors.contains("nothing was changed"))
  }

  @Test(arguments: [["backend", "maint", "web/a"], ["backend", "remove", "web/a"], ["detach"]])
  func `yes means yes`(arguments: [String]) throws {
    let (run, requests) = try typing("y\n", arguments)
    #expect(run.code == 0)
    #expect(requests == 1)
  }

  @Test(arguments: [
    ["backend", "maint", "web/a", "--yes"], ["backend", "maint", "web/a", "--dry-run"],
    ["backend", "drain", "web/a"],
  ])
  func `nothing is asked where it was answered, or is harmless`(arguments: [String]) throws {
    let (run, requests) = try typing("n\n", arguments)
    #expect(run.code == 0)
    #expect(requests == 1)
    #expect(run.errors.isEmpty)
  }
}
