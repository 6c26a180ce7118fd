// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A run of the built `sluice`.
struct Invocation {
  var code: Int32
  var output: String
  var errors: String

  /// Beside the test bundle.
  static let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().appendingPathComponent("sluice").path

  /// - Parameters:
  ///   - input: stdin; nothing where it is nil.
  ///   - wrapper: a command and arguments that run it.
  static func sluice(
    _ arguments: [String], daemon: FakeDaemon? = nil, input: FileHandle? = nil, wrapper: [String] = []
  ) throws -> Invocation {
    let process = Process()
    let words = wrapper + [executable] + arguments + (daemon.map { ["--socket", $0.socket] } ?? [])
    process.executableURL = URL(fileURLWithPath: words[0])
    process.arguments = Array(words.dropFirst())
    var environment = ProcessInfo.processInfo.environment
    environment["SLUICE_SOCKET"] = nil
    process.environment = environment
    process.standardInput = input ?? FileHandle.nullDevice
    let output = Pipe()
    let errors = Pipe()
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let told = output.fileHandleForReading.readDataToEndOfFile()
    let complained = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Invocation(
      code: process.terminationStatus, output: String(decoding: told, as: UTF8.self),
      errors: String(decoding: complained, as: UTF8.self))
  }
}
