// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import Testing

@testable import Control

/// The files of the sockets.
@Suite struct APISocketTests {
  private static func server(_ path: String) -> ControlServer {
    ControlServer.control(
      FakeControlPlane(), path: path, group: nil,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test func socketsAreClosedToOthersAndGoneInTheEnd() async throws {
    try await ServerFixture.withDirectory { directory in
      let path = directory + "/new/control.sock"
      try await ServerFixture.serving([Self.server(path)], sockets: [path]) { () async throws -> Void in
        #expect(ServerFixture.mode(of: path) == 0o660)
        #expect(ServerFixture.mode(of: directory + "/new") == 0o755)
      }
      #expect(!FileManager.default.fileExists(atPath: path))
    }
  }

  @Test func whatIsCreatedLaterHasTheUsualMode() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let file = fixture.directory + "/file"
      // Servers of other tests may be about to open theirs.
      for _ in 0..<500 where ServerFixture.mode(of: file) != 0o640 {
        unlink(file)
        close(open(file, O_CREAT | O_WRONLY, 0o640))
        try await Task.sleep(for: .milliseconds(10))
      }
      #expect(ServerFixture.mode(of: file) == 0o640)
    }
  }

  @Test func whatADeadDaemonLeftIsReplaced() async throws {
    try await ServerFixture.withDirectory { directory in
      let path = directory + "/control.sock"
      Self.leaveSocket(at: path)
      try await ServerFixture.serving([Self.server(path)], sockets: [path]) { () async throws -> Void in
        #expect(try await ask(path, "GET", "/v1/status").status == 200)
      }
    }
  }

  @Test func aLivingDaemonIsLeftAlone() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let error = #expect(throws: StartError.self) { try Self.server(fixture.control).prepare() }
      #expect(error?.description.contains("another daemon answers on \(fixture.control)") == true)
      #expect(try await ask(fixture.control, "GET", "/v1/status").status == 200)
    }
  }

  @Test func onlySocketsAreRemoved() async throws {
    try await ServerFixture.withDirectory { directory in
      let file = directory + "/file"
      try "precious".write(toFile: file, atomically: false, encoding: .utf8)
      let link = directory + "/link"
      let target = directory + "/target.sock"
      Self.leaveSocket(at: target)
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
      for path in [file, link, directory] {
        let error = #expect(throws: StartError.self) { try Self.server(path).prepare() }
        #expect(error?.description.contains("is not a socket") == true)
      }
      #expect(try String(contentsOfFile: file, encoding: .utf8) == "precious")
      #expect(FileManager.default.fileExists(atPath: target))
      #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: link)) == target)
    }
  }

  @Test func anImpossibleDirectoryIsNamed() async throws {
    let error = #expect(throws: StartError.self) {
      try Self.server("/proc/sluice-none/control.sock").prepare()
    }
    #expect(error?.description.contains("/proc/sluice-none") == true)
  }

  /// A socket file that nobody listens on.
  private static func leaveSocket(at path: String) {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    close(descriptor)
  }
}
