// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Logging
internal import Netlink

/// How the data plane follows the network.
extension Reconciler {
  /// Looks at the interface, the routes and the neighbours again, and brings the data plane to what changed.
  func networkChanged() {
    defer { _ = alarms() }
    do {
      let before = interface
      interface = try presentInterface()
      guard let interface else {
        if let before {
          logger.error("interface is gone", metadata: ["interface": "\(before.name)"])
          events.append(type: "interface", object: before.name, new: "gone")
        }
        tellWays()
        return
      }
      attachProbeTunnel()
      if let before, before.index == interface.index, before.name != interface.name {
        logger.warning(
          "interface renamed; forwarding goes on there",
          metadata: ["from": "\(before.name)", "to": "\(interface.name)"])
        events.append(
          type: "interface", object: interface.name, old: "name \(before.name)", new: "name \(interface.name)"
        )
      }
      if isAttached, !isForwarding(on: interface) {
        attachAgain()
      } else if isAttached, mayRunNative(interface, before) {
        logger.notice("trying native mode again", metadata: ["interface": "\(interface.name)"])
        attachAgain()
      } else if let mac = interface.hardwareAddress, mac != before?.hardwareAddress {
        forwarder.setInterfaceAddress(mac.octets)
        logger.notice("interface address changed", metadata: ["mac": "\(mac)"])
        events.append(
          type: "interface", object: interface.name,
          old: (before?.hardwareAddress).map { "mac \($0)" }, new: "mac \(mac)")
      }
      refreshWays()
    } catch {
      logger.error("the network's state could not be read", metadata: ["error": "\(error)"])
    }
  }

  /// The interface that packets arrive at, even where it was renamed; once that is gone, the one with the configured
  /// name.
  private func presentInterface() throws(NetlinkError) -> Link? {
    if let index = interface?.index, let link = try nextHops.link(index: index) { return link }
    return try nextHops.link(named: configuration.node.interface.name)
  }

  /// Whether packets meet the program there. It leaves with an interface that is deleted, and whoever may open the pin
  /// can detach it.
  private func isForwarding(on link: Link) -> Bool {
    guard let program = try? forwarder.program.info.id else { return false }
    return link.xdpPrograms.contains { $0.programID == program }
  }

  /// Whether `auto`, which took generic mode, may get native mode now: drivers refuse it for an MTU that is too large.
  /// It is not tried all the time, because packets pass to the stack meanwhile.
  private func mayRunNative(_ link: Link, _ before: Link?) -> Bool {
    configuration.node.interface.mode == .auto && forwarder.attachment?.mode == .generic
      && link.mtu != before?.mtu
  }

  private func attachAgain() {
    do throws(DataplaneError) {
      try attach()
      attachTrouble = nil
    } catch {
      let trouble = "\(error)"
      if trouble != attachTrouble { logger.error("not attached again", metadata: ["error": "\(trouble)"]) }
      attachTrouble = trouble
    }
  }

  private func refreshWays(for desired: DesiredState? = nil) {
    guard let interface else { return }
    let wanted = (desired ?? self.desired).pools.flatMap { $0.backends.map(\.address) }
    let addresses = Set(wanted).union(installed.backends.values.map(\.address))
    do throws(NetlinkError) {
      var fresh = try nextHops.ways(to: addresses, over: interface)
      // A next hop that stops answering keeps its last known address: sending there is better than not sending.
      for (address, way) in fresh where way.state.mac == nil {
        fresh[address]?.state.mac = ways[address]?.state.mac
        fresh[address]?.via = way.via ?? ways[address]?.via
      }
      noteMovedNextHops(from: ways, to: fresh)
      ways = fresh
      probePaths.sources = try nextHops.sources(on: interface)
      noteMissingSources(at: interface)
    } catch {
      logger.error("routes and neighbours could not be read", metadata: ["error": "\(error)"])
      return
    }
    for backend in installed.backends.values {
      guard let way = ways[backend.address], way.state.mac != nil else { continue }
      forwarder.setNextHop(way.state, of: backend.number)
    }
    tellWays()
  }

  /// Reports next hops whose link-layer address changed. A router that takes over announces itself so; a host
  /// that pretends to be the router does, too.
  private func noteMovedNextHops(
    from old: [IPAddress: NextHops.Way], to new: [IPAddress: NextHops.Way]
  ) {
    var moved: [IPAddress: (from: [UInt8], to: [UInt8])] = [:]
    for (address, way) in new {
      guard let before = old[address], let via = way.via, before.via == via, let mac = way.state.mac,
        let former = before.state.mac, mac != former
      else { continue }
      moved[via] = (former, mac)
    }
    for (via, change) in moved.sorted(by: { $0.key < $1.key }) {
      let (from, to) = (hardwareAddress(change.from), hardwareAddress(change.to))
      logger.warning(
        "next hop has another link-layer address",
        metadata: ["next_hop": "\(via)", "from": "\(from)", "to": "\(to)"])
      events.append(
        type: "interface", object: "next hop \(via)", old: "mac \(from)", new: "mac \(to)",
        reason: "as the kernel's neighbour table says; to pin it: ip neigh replace \(via) lladdr \(from) "
          + "nud permanent dev \(interface?.name ?? configuration.node.interface.name)")
    }
  }

  private func hardwareAddress(_ octets: [UInt8]) -> String {
    HardwareAddress(octets: octets).map { "\($0)" } ?? "unknown"
  }

  /// Backends whose outer source is to be the interface's address, where it has none.
  private func noteMissingSources(at interface: Link) {
    for backend in installed.backends.values
    where backend.encapsulation.source(backend.address.family) == nil
      && ways[backend.address]?.state.sourceAddress == nil && ways[backend.address]?.trouble == nil
    {
      let family =
        backend.address.family == .v4 ? (name: "IPv4", key: "source4") : (name: "IPv6", key: "source6")
      ways[backend.address]?.trouble =
        "\(interface.name) has no \(family.name) address to send from, and encapsulation.\(family.key) is not set"
    }
  }

  /// Asks for the ways to the backends of `desired` and gives the neighbours some time to answer.
  func resolveNextHops(for desired: DesiredState? = nil, patience: Duration) async {
    let deadline = ContinuousClock.now + patience
    let wanted = Set((desired ?? self.desired).pools.flatMap { $0.backends.map(\.address) })
    // What is known is kept up to date by the kernel's events: asking for thousands of routes takes its time.
    if wanted.allSatisfy({ ways[$0]?.state.mac != nil }) { return }
    repeat {
      refreshWays(for: desired)
      if wanted.allSatisfy({ ways[$0]?.state.mac != nil }) { return }
      try? await Task.sleep(for: .milliseconds(20))
    } while ContinuousClock.now < deadline
  }
}
