// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Addresses whose paths an operator may have to look at. Few are, of perhaps a hundred thousand.
struct NotablePaths: Sendable {
  /// Packets cannot be sent there, or may soon not be.
  private(set) var troubled: Set<IPAddress> = []
  /// The path may be too narrow for clients.
  private(set) var narrow: Set<IPAddress> = []
  /// The only route was learned from a router advertisement.
  private(set) var advertised: Set<IPAddress> = []

  init(_ paths: [IPAddress: BackendPath]) {
    let widest = (Alarms.smallestMTU.values.max() ?? 0) + Encapsulation.largestOverhead
    for (address, path) in paths {
      if path.trouble != nil { troubled.insert(address) }
      if path.state.mac != nil, path.state.mtu < widest { narrow.insert(address) }
      if path.isAdvertised { advertised.insert(address) }
    }
  }
}
