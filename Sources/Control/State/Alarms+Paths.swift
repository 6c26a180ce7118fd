// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Alarms about the flow table and about the paths to backends.
extension Alarms {
  /// If the flow table is full, a change may break connections.
  static func flows(_ snapshot: Snapshot) -> [Alarm] {
    var found: [Alarm] = []
    let (flows, capacity) = (snapshot.flows, snapshot.configuration.node.limits.flows)
    if let entries = flows.census?.found.entries, entries * 5 > capacity * 4 {
      found.append(
        Alarm(
          .flowTableFull, "flow table",
          "the flow table has \(entries) of \(capacity) entries: "
            + "flows that find no room may move when their slot changes again",
          cure:
            "raise limits.flows and restart; is there a flood? sluice metrics | grep sluice_flow_events_total"
        ))
    }
    if flows.unwritten.full + flows.unwritten.overBudget > 0 {
      found.append(
        Alarm(
          .flowsNotWritten, "flow table",
          "flows that cannot be remembered: \(Int(flows.unwritten.full.rounded(.up)))/s for lack of room, "
            + "\(Int(flows.unwritten.overBudget.rounded(.up)))/s over budget",
          cure: "raise limits.flows and restart; a flood of new flows passes by itself"))
    }
    return found
  }

  /// The smallest MTU that hosts accept from "fragmentation needed" (Linux: `net.ipv4.route.min_pmtu`), and the
  /// smallest that IPv6 allows (RFC 8200 section 5).
  static let smallestMTU: [AddressFamily: Int] = [.v4: 552, .v6: 1280]

  static func paths(_ snapshot: Snapshot) -> [Alarm] { narrow(snapshot) + advertised(snapshot) }

  /// One alarm for each pool with backends whose path is too narrow for clients.
  private static func narrow(_ snapshot: Snapshot) -> [Alarm] {
    let (uplinks, installed) = (snapshot.uplinks, snapshot.forwarding.installed)
    // The size of the largest packet of a client, from its IP header on; nil while the path is not known.
    func room(_ backend: InstalledState.Backend) -> Int? {
      guard let path = uplinks.path(to: backend), path.state.mac != nil else { return nil }
      return path.state.mtu - backend.encapsulation.overhead(for: backend.address.family)
    }
    func isTooNarrow(_ room: Int, _ family: AddressFamily) -> Bool { room < smallestMTU[family] ?? 0 }
    let widest = smallestMTU.values.max() ?? 0
    let narrow = installed.backends(at: uplinks.notablePaths.narrow).filter {
      room($0).map { $0 < widest } ?? false
    }
    guard !narrow.isEmpty else { return [] }
    var families: [String: Set<AddressFamily>] = [:]
    for (key, service) in installed.services {
      families[service.service.pool, default: []].insert(key.address.family)
    }
    let concerned = narrow.filter { backend in
      families[backend.pool, default: []].contains { isTooNarrow(room(backend) ?? 0, $0) }
    }
    return Dictionary(grouping: concerned, by: \.pool).sorted { $0.key < $1.key }.map { pool, backends in
      let room = backends.compactMap(room).min() ?? 0
      let names = families[pool, default: []].filter { isTooNarrow(room, $0) }
        .map { $0 == .v4 ? "IPv4 (552)" : "IPv6 (1280)" }.sorted().joined(separator: " and ")
      let first = backends.map(\.address).min().map { "\($0)" } ?? ""
      return Alarm(
        .lowMTU, pool,
        "pool \(pool): the path to \(list(backends)) leaves \(room) octets for a client's packet, less than "
          + "\(names) needs: large packets do not arrive",
        cure: "raise the MTU of the interface or of the route: ip link show; ip route get fibmatch \(first)")
    }
  }

  private static func advertised(_ snapshot: Snapshot) -> [Alarm] {
    let uplinks = snapshot.uplinks
    let backends = snapshot.forwarding.installed.backends(at: uplinks.notablePaths.advertised)
    guard !backends.isEmpty else { return [] }
    let name = uplinks.interfaceName
    return [
      Alarm(
        .advertisedRoute, name,
        "the only route to \(list(backends)) was learned from a router advertisement, which any host on the "
          + "link of \(name) can send",
        cure: "ip -6 route add default via ROUTER dev \(name); sysctl net.ipv6.conf.\(name).accept_ra=0")
    ]
  }

  /// The names of some backends, and how many more there are.
  private static func list(_ backends: [InstalledState.Backend]) -> String {
    names(Set(backends.map { "\($0.pool)/\($0.name)" }))
  }

  static func names(_ names: Set<String>) -> String {
    names.sorted().prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
  }
}
