// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The core that receives: the kernel's thread for an interface's queue, which is kept to one CPU, and that CPU's softirq
/// thread, which takes over when the former has more than it may do at once.
struct ReceivingCore {
  private let threads: [Int]

  /// Finds the threads `napi/INTERFACE-…`, which are there when the interface is threaded.
  init(interface: String, cpu: Int) throws {
    let processes = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int($0) }
    let receivers = processes.filter { Self.name(of: $0)?.hasPrefix("napi/\(interface)-") == true }
    guard !receivers.isEmpty else { throw BenchError("\(interface) has no receiving thread of its own") }
    threads = receivers + processes.filter { Self.name(of: $0) == "ksoftirqd/\(cpu)" }
  }

  /// How long the core has worked at receiving, in seconds.
  func busyTime() throws -> Double {
    try threads.reduce(0) { sum, thread in
      let text = try String(contentsOfFile: "/proc/\(thread)/schedstat", encoding: .utf8)
      guard let nanoseconds = text.split(separator: " ").first.flatMap({ Double($0) }) else {
        throw BenchError("the kernel does not tell the time of thread \(thread)")
      }
      return sum + nanoseconds / 1e9
    }
  }

  private static func name(of process: Int) -> String? {
    (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8))?
      .trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
