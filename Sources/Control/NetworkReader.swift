// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import Netlink
internal import Synchronization

/// Reads the kernel's links, routes and neighbours. Calls block until the kernel has answered; any thread may make
/// them.
final class NetworkReader: Network {
  private let network: Mutex<NextHops>
  private let probeHook: @Sendable () -> UInt32?

  /// - Parameter probeHook: the interface on which the programs of probes are in force.
  init(policy: NextHop, probeHook: @escaping @Sendable () -> UInt32?) throws(NetlinkError) {
    network = Mutex(try NextHops(policy: policy))
    self.probeHook = probeHook
  }

  /// - Throws: where the interface could not be read. ``NetworkView/pathTrouble`` has the paths that could not be read.
  func read(_ query: NetworkQuery) throws(NetlinkError) -> NetworkView {
    let (link, rest) = try network.withLock { network throws(NetlinkError) -> (Link?, NetworkView) in
      var link: Link?
      if let index = query.interfaceIndex { link = try network.link(index: index) }
      if link == nil { link = try network.link(named: query.interfaceName) }
      guard let link else { return (nil, NetworkView()) }
      return (link, network.view(query, over: link))
    }
    var view = rest
    view.link = link
    view.probeHookIndex = probeHook()
    return view
  }
}

extension NextHops {
  fileprivate mutating func view(_ query: NetworkQuery, over link: Link) -> NetworkView {
    var view = NetworkView()
    do throws(NetlinkError) {
      view.paths = try paths(to: query.addresses, over: link)
      view.sources = try sources(on: link)
    } catch {
      view.pathTrouble = "\(error)"
    }
    for vip in query.vips {
      if let gateway = gateway(towards: vip, over: link) { view.gateways[vip.family] = gateway }
    }
    view.gateways.merge(fixedGateways(on: link)) { $1 }
    return view
  }
}
