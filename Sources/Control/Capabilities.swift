// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// What the kernel lets this process do.
enum Capabilities {
  private static let perfmon: UInt64 = 38
  private static let sysAdmin: UInt64 = 21

  /// Whether programs load without speculation barriers: CAP_PERFMON, or CAP_SYS_ADMIN, which includes it.
  static func hasPerfmon() -> Bool { effective & (1 << perfmon | 1 << sysAdmin) != 0 }

  /// The effective set of capabilities(7).
  private static var effective: UInt64 {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }),
      let text = line.split(whereSeparator: \.isWhitespace).last
    else { return 0 }
    return UInt64(text, radix: 16) ?? 0
  }
}
