// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// Finds the way to each backend: the next hop that the kernel's routes name, and its link-layer address, which the
/// kernel is made to look after (XDP_TX itself never touches the neighbour table).
struct NextHops: ~Copyable {
  /// What is known of the way to one address.
  struct Way: Equatable {
    var via: IPAddress?
    var state: NextHopState
    /// Why packets cannot be sent there, or may soon not be; nil: all is well.
    var trouble: String?
    /// Whether the only route there was learned from a router advertisement.
    var isAdvertised = false
    /// Whether the kernel has a link-layer address of the next hop.
    var isResolved = false
  }

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

  /// The ways to the given addresses, over `link` only: what arrives there leaves there.
  mutating func ways(to addresses: Set<IPAddress>, over link: Link) throws(NetlinkError) -> [IPAddress: Way] {
    let own = try socket.addresses(interfaceIndex: link.index)
    let neighbours = Dictionary(
      try socket.neighbours(interfaceIndex: link.index).map { (IPAddress($0.address), $0) },
      uniquingKeysWith: { $1 })
    var ways: [IPAddress: Way] = [:]
    for address in addresses {
      let source = own.first { $0.address.reaches(address) }.map { IPAddress($0.address) }
      ways[address] = way(to: address, over: link, source: source, neighbours)
    }
    for via in Set(ways.values.compactMap(\.via)) where neighbours[via]?.isUncertain ?? true {
      // What comes of it, also nothing, is seen at the neighbour's entry.
      try? Neighbour.solicit(NetworkAddress(via), interfaceIndex: link.index)
    }
    return ways
  }

  /// The address that packets from this host to `address` go to on `link`; nil: there is no such route.
  mutating func gateway(towards address: IPAddress, over link: Link) -> IPAddress? {
    let destination = NetworkAddress(address)
    guard let route = try? socket.route(to: destination), route.kind == .unicast else { return nil }
    return route.paths.first { $0.interfaceIndex == link.index }?.gateway.map { IPAddress($0) }
  }

  /// The addresses of `link` that hosts beyond it can answer to, the first of each family.
  mutating func sources(on link: Link) throws(NetlinkError) -> [AddressFamily: IPAddress] {
    let own = try socket.addresses(interfaceIndex: link.index).map(\.address)
    return Dictionary(
      own.filter { $0.family == .v4 || !$0.isLinkLocal }.map { (IPAddress($0).family, IPAddress($0)) },
      uniquingKeysWith: { first, _ in first })
  }

  private mutating func way(
    to address: IPAddress, over link: Link, source: IPAddress?, _ neighbours: [IPAddress: Neighbour]
  ) -> Way {
    var state = NextHopState(mac: nil, mtu: Int(link.mtu), sourceAddress: source)
    if case .fixed(let mac) = policy {
      state.mac = mac
      return Way(via: nil, state: state, trouble: nil)
    }
    let via: IPAddress
    var isAdvertised = false
    do throws(NetlinkError) {
      let route = try socket.route(to: NetworkAddress(address))
      let path = route.kind == .unicast ? route.paths.first { $0.interfaceIndex == link.index } : nil
      if path != nil {
        if let preferred = route.preferredSource, preferred.reaches(address) {
          state.sourceAddress = IPAddress(preferred)
        }
        isAdvertised = route.isAdvertised
      }
      if let mtu = route.mtu { state.mtu = min(state.mtu, Int(mtu)) }
      if case .gateway(let gateway) = policy {
        via = gateway
      } else if let path {
        via = IPAddress(path.nextHop(for: NetworkAddress(address)))
      } else if route.kind != .unicast {
        return Way(via: nil, state: state, trouble: "\(address) is an address of this host")
      } else {
        return Way(via: nil, state: state, trouble: "its route leaves by another interface than \(link.name)")
      }
    } catch {
      return Way(via: nil, state: state, trouble: "no route: \(error)")
    }
    state.mac = neighbours[via]?.usableHardwareAddress?.octets
    return Way(
      via: via, state: state,
      trouble: state.mac == nil ? "next hop \(via) does not answer (neighbour discovery)" : nil,
      isAdvertised: isAdvertised, isResolved: state.mac != nil)
  }
}

extension IPAddress {
  init(_ address: NetworkAddress) {
    self.init(family: address.family == .v4 ? .v4 : .v6, bits: address.bits)
  }
}

extension NetworkAddress {
  init(_ address: IPAddress) {
    self.init(family: address.family == .v4 ? .v4 : .v6, bits: address.bits)
  }

  /// Whether packets from this address may be routed to `destination`: routers forward none whose IPv6 source
  /// is link-local.
  fileprivate func reaches(_ destination: IPAddress) -> Bool {
    let destination = NetworkAddress(destination)
    return family == destination.family && (family == .v4 || !isLinkLocal || destination.isLinkLocal)
  }
}
