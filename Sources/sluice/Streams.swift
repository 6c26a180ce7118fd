// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Foundation

/// Writes an answer to stdout. A reader that has had enough, such as `head`, ends the command as it ends others;
/// any other failure, such as a full disk, is one of the command.
func write(_ octets: [UInt8]) throws {
  // SwiftNIO ignores the signal.
  unsafe _ = signal(SIGPIPE, SIG_DFL)
  do {
    try FileHandle.standardOutput.write(contentsOf: Data(octets))
  } catch {
    complain("cannot write the output: \((error as NSError).localizedDescription)")
    throw ExitCode(1)
  }
}

/// Writes lines to stdout.
func write(_ text: String) throws { try write(Array(text.utf8) + [0x0a]) }

/// Writes lines to stderr, under the command's name.
func complain(_ message: String) { inform("sluice: \(message)\n") }

/// Writes to stderr, and ignores failures.
func inform(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
