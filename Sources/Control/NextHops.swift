// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// Finds the path to each backend: the next hop that the kernel's routes name, or the configured one, and its link-layer
/// address, which the kernel is made to look after (XDP_TX itself never touches the neighbour table).
struct NextHops: ~Copyable {
  private var socket: NetlinkSocket
  private let policy: NextHop

  init(policy: NextHop) throws(NetlinkError) {
    socket = try NetlinkSocket()
    self.policy = policy
  }

  /// The interface of this name as it is now; nil while there is none.
  mutating func link(named name: String) throws(NetlinkError) -> Link? { try socket.link(named: name) }

  /// The interface of this number, whatever it is called now; nil when it is gone.
  mutating func link(index: UInt32) throws(NetlinkError) -> Link? { try socket.link(index: index) }

  /// The paths to the given addresses, over `link` only: what arrives there leaves there.
  mutating func paths(to addresses: Set<IPAddress>, over link: Link) throws(NetlinkError) -> [IPAddress:
    BackendPath]
  {
    let own = try socket.addresses(interfaceIndex: link.index)
    let neighbours = Dictionary(
      try socket.neighbours(interfaceIndex: link.index).map { ($0.address, $0) },
      uniquingKeysWith: { $1 })
    let gateway = gatewayPath(over: link, neighbours)
    var paths: [IPAddress: BackendPath] = [:]
    for address in addresses {
      let source = own.first { $0.address.reaches(address) }?.address
      paths[address] =
        if let gateway { path(to: address, by: gateway, over: link, source: source) } else {
          path(to: address, over: link, source: source, neighbours)
        }
    }
    for via in Set(paths.values.compactMap(\.via)) where neighbours[via]?.isUncertain ?? true {
      // What comes of it, also nothing, is seen at the neighbour's entry.
      try? Neighbour.solicit(via, interfaceIndex: link.index)
    }
    return paths
  }

  /// The address that packets from this host to `address` go to on `link`; nil: there is no such route.
  mutating func gateway(towards address: IPAddress, over link: Link) -> IPAddress? {
    guard let route = try? socket.route(to: address), route.kind == .unicast else { return nil }
    return route.paths.first { $0.interfaceIndex == link.index }?.gateway
  }

  /// The addresses of `link` that hosts beyond it can answer to, the first of each family.
  mutating func sources(on link: Link) throws(NetlinkError) -> [AddressFamily: IPAddress] {
    let own = try socket.addresses(interfaceIndex: link.index).map(\.address)
    return Dictionary(
      own.filter { $0.family == .v4 || !$0.isLinkLocal }.map { ($0.family, $0) },
      uniquingKeysWith: { first, _ in first })
  }

  /// The addresses on `link` whose link-layer address is the configured one, the first of each family.
  mutating func fixedGateways(on link: Link) -> [AddressFamily: IPAddress] {
    guard case .fixed(let mac) = policy,
      let neighbours = try? socket.neighbours(interfaceIndex: link.index)
    else { return [:] }
    return Dictionary(
      neighbours.filter { $0.usableHardwareAddress == mac }.map(\.address).sorted().map { ($0.family, $0) },
      uniquingKeysWith: { first, _ in first })
  }

  /// The part of a path that the configured gateway determines; nil: none is configured.
  private mutating func gatewayPath(over link: Link, _ neighbours: [IPAddress: Neighbour]) -> BackendPath? {
    guard case .gateway(let gateway) = policy else { return nil }
    var state = NextHopState(
      mac: neighbours[gateway]?.usableHardwareAddress, mtu: Int(link.mtu), sourceAddress: nil)
    if let mtu = route(to: gateway, over: link)?.mtu { state.mtu = min(state.mtu, Int(mtu)) }
    return BackendPath(
      via: gateway, state: state, trouble: state.mac == nil ? Self.silence(of: gateway) : nil,
      isResolved: state.mac != nil)
  }

  /// The path by the configured gateway, which takes no route to the backend. If there is one over `link`, its source and
  /// MTU count.
  private mutating func path(
    to address: IPAddress, by gateway: BackendPath, over link: Link, source: IPAddress?
  ) -> BackendPath {
    var path = gateway
    path.state.sourceAddress = source
    guard let route = route(to: address, over: link) else { return path }
    if let preferred = route.preferredSource, preferred.reaches(address) {
      path.state.sourceAddress = preferred
    }
    if let mtu = route.mtu { path.state.mtu = min(path.state.mtu, Int(mtu)) }
    return path
  }

  /// nil: there is none, or it leaves by another interface.
  private mutating func route(to address: IPAddress, over link: Link) -> Netlink.Route? {
    guard let route = try? socket.route(to: address), route.kind == .unicast,
      route.paths.contains(where: { $0.interfaceIndex == link.index })
    else { return nil }
    return route
  }

  /// The path that the kernel's routes name, or the one by the configured link-layer address.
  private mutating func path(
    to address: IPAddress, over link: Link, source: IPAddress?, _ neighbours: [IPAddress: Neighbour]
  ) -> BackendPath {
    var state = NextHopState(mac: nil, mtu: Int(link.mtu), sourceAddress: source)
    if case .fixed(let mac) = policy {
      state.mac = mac
      return BackendPath(via: nil, state: state, trouble: nil)
    }
    let via: IPAddress
    var isAdvertised = false
    do throws(NetlinkError) {
      let route = try socket.route(to: address)
      let path = route.kind == .unicast ? route.paths.first { $0.interfaceIndex == link.index } : nil
      if let mtu = route.mtu { state.mtu = min(state.mtu, Int(mtu)) }
      guard let path else {
        return BackendPath(
          via: nil, state: state,
          trouble: route.kind == .unicast
            ? "its route leaves by another interface than \(link.name)"
            : "\(address) is an address of this host")
      }
      if let preferred = route.preferredSource, preferred.reaches(address) { state.sourceAddress = preferred }
      isAdvertised = route.isAdvertised
      via = path.nextHop(for: address)
    } catch {
      return BackendPath(via: nil, state: state, trouble: "no route: \(error)")
    }
    state.mac = neighbours[via]?.usableHardwareAddress
    state.isOnLink = via == address
    return BackendPath(
      via: via, state: state, trouble: state.mac == nil ? Self.silence(of: via) : nil,
      isAdvertised: isAdvertised, isResolved: state.mac != nil)
  }

  private static func silence(of via: IPAddress) -> String {
    "next hop \(via) does not answer (neighbour discovery)"
  }
}

extension IPAddress {
  /// Whether packets from this address may be routed to `destination`: routers forward none whose IPv6 source
  /// is link-local.
  fileprivate func reaches(_ destination: IPAddress) -> Bool {
    family == destination.family && (family == .v4 || !isLinkLocal || destination.isLinkLocal)
  }
}
