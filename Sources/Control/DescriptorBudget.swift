// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The shares of the file descriptors that the process may open.
///
/// Probes and connections have separate shares, so that clients cannot take the descriptors that failover needs, and no
/// code reaches the limit.
struct DescriptorBudget: Equatable {
  /// The data plane's maps, programs and links, sockets of netlink, event loops, files that are read or written.
  static let own = 128
  /// The smallest number of concurrent probes.
  static let fewestProbes = 48
  /// The smallest number of connections of a server.
  static let fewestConnections = 8
  /// Connections of a server that are accepted before the one that has been idle for longest is closed.
  static let surplusConnections = 12
  /// The control socket, the status socket and `status.listen`.
  static let servers = 3
  /// The daemon does not start with fewer.
  static let least = own + fewestProbes + servers * (fewestConnections + surplusConnections)

  /// The largest number of concurrent probes.
  let probes: Int
  /// The largest number of connections of each server.
  let connections: Int

  /// - Parameter limit: descriptors that the process may open.
  /// - Throws: where that is less than ``least``.
  init(limit: Int) throws(StartError) {
    guard limit >= Self.least else {
      throw StartError(
        "the process may open \(limit) file descriptors and needs at least \(Self.least)",
        cure: "raise the limit: LimitNOFILE= in the unit, or ulimit -n")
    }
    let rest = limit - Self.least
    let each = Self.fewestConnections + rest / 2 / Self.servers
    connections = min(ConnectionLimits().connections, each)
    probes = Self.fewestProbes + rest - Self.servers * (connections - Self.fewestConnections)
  }

  /// Raises the soft limit to the hard one and divides it.
  static func ofProcess() throws(StartError) -> DescriptorBudget {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard unsafe getrlimit(resource, &limit) == 0 else { return try DescriptorBudget(limit: 1024) }
    limit.rlim_cur = limit.rlim_max
    unsafe _ = setrlimit(resource, &limit)
    unsafe _ = getrlimit(resource, &limit)
    return try DescriptorBudget(limit: Int(clamping: limit.rlim_cur))
  }
}
