// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite struct ReadingMemoryTests {
  /// The shapes that take the most memory for their length, such as lists of one-letter items.
  @Test func `reading a configuration takes at most 20 times the memory of its text`() throws {
    let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "scripts/config-load")
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/python3")
    process.arguments = [script.path, "--memory", Invocation.executable]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let table = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    print(table)
    #expect(process.terminationStatus == 0, "\(table)")
  }
}
