// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// CPU time, memory and descriptors of the process, as in Prometheus' standard process metrics.
struct ProcessUsage: Sendable {
  var cpuSeconds: Double
  var residentBytes: Int
  var openDescriptors: Int
  var maxDescriptors: UInt64
  /// Seconds since 1970, UTC.
  var startedAt: Double

  /// nil: this process must not see itself in /proc.
  static func now() -> ProcessUsage? {
    guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
      let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"),
      // The name before may have spaces and parentheses of its own. What follows begins with proc(5)'s field 3.
      let fields = stat.split(separator: ")").last?.split(separator: " ").map({ Double($0) ?? 0 }),
      fields.count > 21
    else { return nil }
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    var limit = rlimit()
    unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return ProcessUsage(
      cpuSeconds: (fields[11] + fields[12]) / ticks,
      residentBytes: Int(fields[21]) * sysconf(Int32(_SC_PAGESIZE)),
      // One of them was there for looking.
      openDescriptors: descriptors.count - 1, maxDescriptors: UInt64(limit.rlim_cur),
      startedAt: bootedAt + fields[19] / ticks)
  }

  /// Once: a step of the wall clock must not let the process look restarted.
  private static let bootedAt: Double = {
    var up = timespec()
    unsafe clock_gettime(CLOCK_BOOTTIME, &up)
    return Date().timeIntervalSince1970 - Double(up.tv_sec) - Double(up.tv_nsec) / 1e9
  }()
}
