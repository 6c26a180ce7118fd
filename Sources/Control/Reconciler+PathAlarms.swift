// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Alarms about the paths to backends.
extension Reconciler {
  /// The smallest MTU that hosts accept from "fragmentation needed" (Linux: `net.ipv4.route.min_pmtu`), and
  /// the smallest that IPv6 allows (RFC 8200 section 5).
  private static let smallestMTU: [AddressFamily: Int] = [.v4: 552, .v6: 1280]

  func pathAlarms() -> [(code: String, message: String, object: String, cure: String)] {
    narrowPathAlarms() + advertisedRouteAlarms()
  }

  /// One alarm for each pool with backends whose path leaves too little for clients.
  private func narrowPathAlarms() -> [(code: String, message: String, object: String, cure: String)] {
    var families: [String: Set<AddressFamily>] = [:]
    for (key, service) in installed.services {
      families[service.service.pool, default: []].insert(key.address.family)
    }
    let narrow = installed.backends.values.filter { backend in
      guard let room = roomForClients(of: backend) else { return false }
      return !(families[backend.pool] ?? []).filter { isTooNarrow(room, for: $0) }.isEmpty
    }
    let pools: [String: [InstalledState.Backend]] = Dictionary(grouping: narrow) { $0.pool }
    return pools.sorted { $0.key < $1.key }.map { pool, backends in
      let room = backends.compactMap(roomForClients).min() ?? 0
      let names = (families[pool] ?? []).filter { isTooNarrow(room, for: $0) }
        .map { $0 == .v4 ? "IPv4 (552)" : "IPv6 (1280)" }.sorted().joined(separator: " and ")
      let first = backends.map(\.address).min().map { "\($0)" } ?? ""
      return (
        "low-mtu",
        "pool \(pool): the path to \(list(backends)) leaves \(room) octets for a client's packet, less than "
          + "\(names) needs: large packets do not arrive", pool,
        "raise the MTU of the interface or of the route: ip link show; ip route get fibmatch \(first)"
      )
    }
  }

  private func isTooNarrow(_ room: Int, for family: AddressFamily) -> Bool {
    room < Self.smallestMTU[family] ?? 0
  }

  /// Octets of the largest packet of a client that reaches a backend; nil while its path is not known.
  private func roomForClients(of backend: InstalledState.Backend) -> Int? {
    guard let way = ways[backend.address], way.state.mac != nil else { return nil }
    return way.state.mtu - backend.address.family.headerLength
  }

  private func advertisedRouteAlarms() -> [(code: String, message: String, object: String, cure: String)] {
    let advertised = installed.backends.values.filter { ways[$0.address]?.isAdvertised ?? false }
    guard !advertised.isEmpty else { return [] }
    let name = interface?.name ?? configuration.node.interface.name
    return [
      (
        "advertised-route",
        "the only route to \(list(advertised)) was learned from a router advertisement, which any host on the "
          + "link of \(name) can send", name,
        "ip -6 route add default via ROUTER dev \(name); sysctl net.ipv6.conf.\(name).accept_ra=0"
      )
    ]
  }

  /// The names of some backends, and how many more there are.
  private func list(_ backends: [InstalledState.Backend]) -> String {
    let names = Set(backends.map { "\($0.pool)/\($0.name)" }).sorted()
    return names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
  }
}
