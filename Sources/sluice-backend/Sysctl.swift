// SPDX-License-Identifier: Apache-2.0

/// A setting that keeps a host from showing its VIPs by ARP.
struct ARPRestriction {
  let name: String
  /// The values that do, the least strict one first.
  let sufficient: [Int]

  /// Of `arp_ignore`, 3 answers for addresses of global scope on other interfaces, such as VIPs on `lo`; 4 to 7 are not
  /// used by the kernel, and answer for all.
  static let all = [
    ARPRestriction(name: "arp_ignore", sufficient: [1, 2, 8]),
    ARPRestriction(name: "arp_announce", sufficient: [2]),
  ]

  var list: String {
    sufficient.count == 1
      ? "\(sufficient[0])"
      : sufficient.dropLast().map(String.init).joined(separator: ", ")
        + " or \(sufficient[sufficient.count - 1])"
  }
}

/// A kernel setting of this network namespace, by its path below `/proc/sys`.
struct Sysctl: Hashable, Codable {
  let path: String

  /// `net.ipv4.conf.INTERFACE.NAME`. An interface's name may contain dots, which a path allows.
  static func ipv4(_ name: String, interface: String) -> Sysctl {
    Sysctl(path: "net/ipv4/conf/\(interface)/\(name)")
  }

  /// Whether it applies to every interface.
  var isOfWholeHost: Bool { path.contains("/conf/all/") }

  /// The setting in the form that `sysctl -w` accepts, also with dots in the interface's name.
  var name: String { path.contains(".") ? path : path.replacing("/", with: ".") }

  /// `nil` if this kernel does not have it.
  var value: Int? {
    guard let octets = TextFile.read("/proc/sys/\(path)") else { return nil }
    return Int(String(decoding: octets, as: UTF8.self).filter { !$0.isWhitespace })
  }

  func set(_ value: Int) throws(Failure) {
    try TextFile.write("\(value)\n", to: "/proc/sys/\(path)")
  }
}
