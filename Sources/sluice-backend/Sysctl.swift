// SPDX-License-Identifier: Apache-2.0

/// A kernel setting of this network namespace, by its path below `/proc/sys`.
struct Sysctl: Hashable, Codable {
  let path: String

  /// `net.ipv4.conf.INTERFACE.NAME`. An interface's name may hold dots: paths do not mind.
  static func ipv4(_ name: String, interface: String) -> Sysctl {
    Sysctl(path: "net/ipv4/conf/\(interface)/\(name)")
  }

  /// Whether it counts for every interface.
  var isOfWholeHost: Bool { path.contains("/conf/all/") }

  /// The setting as `sysctl -w` takes it, dots in an interface's name included.
  var name: String { path.contains(".") ? path : path.replacing("/", with: ".") }

  /// `nil` where this kernel does not have it.
  var value: Int? {
    guard let octets = TextFile.read("/proc/sys/\(path)") else { return nil }
    return Int(String(decoding: octets, as: UTF8.self).filter { !$0.isWhitespace })
  }

  func set(_ value: Int) throws(Failure) {
    try TextFile.write("\(value)\n", to: "/proc/sys/\(path)")
  }
}
