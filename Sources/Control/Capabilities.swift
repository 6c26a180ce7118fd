// SPDX-License-Identifier: Apache-2.0
internal import CCapabilities
internal import Foundation

/// Capabilities of capabilities(7). The kernel keeps them for each thread; a new thread has those of its maker.
struct Capabilities: OptionSet {
  let rawValue: UInt64

  init(rawValue: UInt64) { self.rawValue = rawValue }

  private init(number: Int32) { rawValue = 1 << UInt64(number) }

  static let netAdmin = Self(number: CAP_NET_ADMIN)
  static let netRaw = Self(number: CAP_NET_RAW)
  static let bpf = Self(number: CAP_BPF)
  static let perfmon = Self(number: CAP_PERFMON)
  /// The kernel takes it for CAP_BPF and for CAP_PERFMON.
  static let sysAdmin = Self(number: CAP_SYS_ADMIN)
  static let setGID = Self(number: CAP_SETGID)
  static let setPCap = Self(number: CAP_SETPCAP)

  /// What is of use until the program is loaded: `netRaw` to open the sockets of echo requests, `setGID` to join the sockets' groups, `setPCap` to give up what
  /// children could get.
  static let loading: Self = [.netAdmin, .netRaw, .bpf, .perfmon, .sysAdmin, .setGID, .setPCap]

  /// Whether programs load without speculation barriers.
  static func hasPerfmon() -> Bool { !effective.isDisjoint(with: [.perfmon, .sysAdmin]) }

  /// What this thread may use now.
  private static var effective: Self {
    var header = header
    var sets = [__user_cap_data_struct](repeating: .init(), count: 2)
    guard unsafe capget(&header, &sets) == 0 else { return [] }
    return Self(rawValue: UInt64(sets[0].effective) | UInt64(sets[1].effective) << 32)
  }

  private static var header: __user_cap_header_struct {
    __user_cap_header_struct(version: UInt32(_LINUX_CAPABILITY_VERSION_3), pid: 0)
  }

  /// Leaves this thread no more than `kept`, and nothing to inherit. What it has not, it does not get.
  static func limit(to kept: Self) throws(StartError) {
    let kept = kept.intersection(effective)
    let words = [UInt32(truncatingIfNeeded: kept.rawValue), UInt32(truncatingIfNeeded: kept.rawValue >> 32)]
    var header = header
    var sets = words.map { __user_cap_data_struct(effective: $0, permitted: $0, inheritable: 0) }
    guard ambient_set_clear() == 0, unsafe capset(&header, &sets) == 0 else {
      throw StartError("cannot give up capabilities: \(unsafe String(cString: strerror(errno)))", cure: nil)
    }
  }

  /// Leaves this process no capability and no way to get one, neither by itself nor by what it starts.
  /// - Precondition: no other thread was made before ``limit(to:)``; a thread that still has some makes it throw.
  static func dropAll() throws(StartError) {
    // Takes CAP_SETPCAP. Where that is not there, no_new_privileges does what the empty set would do.
    var number: UInt = 0
    while bounding_set_drop(number) == 0 { number += 1 }
    guard no_new_privileges() == 0 else {
      throw StartError("cannot renounce privileges: \(unsafe String(cString: strerror(errno)))", cure: nil)
    }
    try limit(to: [])
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    guard !threads.isEmpty, threads.allSatisfy(isWithoutCapabilities) else {
      throw StartError("cannot make sure that no thread keeps capabilities", cure: "mount /proc")
    }
  }

  private static func isWithoutCapabilities(thread: String) -> Bool {
    guard let status = try? String(contentsOfFile: "/proc/self/task/\(thread)/status", encoding: .utf8)
    else { return false }
    let sets = status.split(separator: "\n").filter { $0.hasPrefix("CapEff:") || $0.hasPrefix("CapPrm:") }
    return sets.count == 2
      && sets.allSatisfy { $0.split(whereSeparator: \.isWhitespace).last.map { UInt64($0, radix: 16) } == 0 }
  }
}
