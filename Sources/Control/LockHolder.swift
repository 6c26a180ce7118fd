// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The process that has what this one needs, as an operator knows it.
struct LockHolder: CustomStringConvertible {
  let process: Int32?

  /// Such as `sluiced (pid 4711, configuration /etc/sluice/sluice.yaml)`.
  var description: String {
    guard let process else { return "another process" }
    let words = Self.words(of: process)
    // Nothing is known of a process that has ended, or that this one may not look at.
    guard let program = words.first.map({ ($0 as NSString).lastPathComponent }), !program.isEmpty else {
      return "process \(process)"
    }
    guard program == "sluiced" else { return "\(program) (pid \(process))" }
    return "sluiced (pid \(process), configuration \(configuration(in: words, of: process)))"
  }

  private static func words(of process: Int32) -> [String] {
    let data = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
    return data.split(separator: 0, omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
  }

  private func configuration(in words: [String], of process: Int32) -> String {
    let following = words.firstIndex { $0 == "--config" || $0 == "-c" }.map { $0 + 1 }
    let joined = words.first { $0.hasPrefix("--config=") }.map { String($0.dropFirst("--config=".count)) }
    let path = following.flatMap { words.indices.contains($0) ? words[$0] : nil } ?? joined
    guard let path else { return Daemon.defaultConfigurationPath }
    guard !path.hasPrefix("/"),
      let directory = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/cwd")
    else { return path }
    return (directory as NSString).appendingPathComponent(path)
  }
}
