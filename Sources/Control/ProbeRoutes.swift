// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// How this host's stack sends probes so that they need no route to the VIP.
///
/// A probe is addressed to a stand-in for the VIP, whose next hop is the backend's: the next hop itself where it is of
/// the VIP's family. Its route is that of the interface's own network, which stays when a default route goes.
struct ProbeRoutes: Equatable, Sendable {
  /// The addresses of the interface that answers come back to.
  var sources: [AddressFamily: IPAddress] = [:]
  /// A router on the interface for each family, as last seen: for VIPs of another family than the backend, and for a next
  /// hop that is configured by its link-layer address.
  var gateways: [AddressFamily: IPAddress] = [:]

  /// The address that probes to VIPs of a family are sent to; nil: the VIP itself.
  ///
  /// - Parameter via: the backend's next hop; nil: only its link-layer address is known.
  func standIn(for family: AddressFamily, via: IPAddress?, backend: IPAddress) -> IPAddress? {
    guard let via else { return gateways[family] }
    if via.family == family { return via }
    // An IPv4 route may have an IPv6 gateway.
    return backend.family == family ? backend : gateways[family]
  }
}
