// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Logging
internal import Netlink
internal import Probing

/// The control plane with its effects, assembled. Making it loads the program and takes privilege; nothing that is
/// pinned or attached changes before ``ControlLoop/start()``.
struct DaemonCore: Sendable {
  let loop: ControlLoop
  let plane: LiveControlPlane
  let events = EventLog()
  private let probeTunnel: ProbeTunnel
  private let interfaceIndex: UInt32

  /// - Parameters:
  ///   - reader: has read the configuration.
  ///   - mostProbes: probes in flight at most.
  /// - Throws: ``StartError`` with a message for the operator; what an earlier daemon left keeps forwarding.
  init(
    _ reader: ConfigurationReader, configurationPath: String, configuration: Configuration, lock: PinLock,
    allowsLostFlows: Bool,
    takesOver: Bool, mostProbes: Int, logger: Logger
  ) throws(StartError) {
    let node = configuration.node
    let links = try Self.links(node, takesOver: takesOver)
    interfaceIndex = links.interface.index
    let forwarder: Forwarder
    do throws(DataplaneError) {
      forwarder = try Forwarder(node, isFullSpeed: Capabilities.hasPerfmon())
      probeTunnel = try ProbeTunnel(forwarder)
    } catch {
      throw StartError("\(error)", cure: nil)
    }
    // Echo requests take CAP_NET_RAW. Without it, checks that need them say so.
    let echo = try? EchoSockets()
    let counters = forwarder.reader
    let now = Moment.now
    let facts = StartFacts(
      run: events.run, tickLength: forwarder.tickLength, allowsLostFlows: allowsLostFlows,
      isSeedChanged: forwarder.seedChanged(), replacesUnreadable: forwarder.replacesUnreadable,
      attachedAddress: links.attached?.hardwareAddress)
    var view = Snapshot(
      at: now,
      process: ProcessFacts(
        configurationPath: configurationPath, startedAt: now, version: Version.current,
        isFullSpeed: forwarder.isFullSpeed, hostName: ProcessInfo.processInfo.hostName),
      configuration: ConfigurationState(inForce: configuration, loadedAt: now),
      uplinks: Uplinks(node.interface, link: links.interface))
    let network: NetworkReader
    do throws(NetlinkError) {
      network = try NetworkReader(policy: node.interface.nextHop) { [probeTunnel] in
        probeTunnel.attachedInterface
      }
    } catch {
      throw StartError("\(error)", cure: nil)
    }
    let health = LiveHealth(tunnel: probeTunnel, echo: echo, mostProbes: mostProbes) { [events] transition in
      transition.notice.post(to: logger, events)
    }
    let effects = EffectRunner(
      writer: LiveDataplane(
        forwarder, probeTunnel: probeTunnel, lock: lock, stateDirectory: node.stateDirectory,
        logger: logger),
      reader: counters, network: network,
      files: LiveFiles(reader, stateDirectory: node.stateDirectory),
      health: health, logger: logger)
    loop = ControlLoop(
      ControlState(view: view, start: facts), effects: effects, clock: LiveClock(counters), events: events,
      logger: logger)
    plane = LiveControlPlane(
      loop, events: events, reader: counters, health: health, probeTunnel: probeTunnel,
      configurationPath: configurationPath)
  }

  /// Before privilege is given up: on kernels before 6.6 this takes CAP_NET_ADMIN. What fails is tried again when the
  /// network is read first, and reported there.
  func attachProbeHookAtStart() { try? probeTunnel.attach(interfaceIndex: interfaceIndex) }

  // MARK: The interface

  /// The configured interface, and the one that an earlier daemon's program is attached to.
  private static func links(
    _ node: NodeSettings, takesOver: Bool
  ) throws(StartError) -> (interface: Link, attached: Link?) {
    let attachment = Forwarder.pinnedAttachment(node)
    let (interface, attached): (Link?, Link?)
    do throws(NetlinkError) {
      var network = try NextHops(policy: node.interface.nextHop)
      interface = try network.link(named: node.interface.name)
      attached = try network.link(index: attachment.interfaceIndex ?? 0)
    } catch {
      throw StartError("\(error)", cure: nil)
    }
    guard let interface else { throw missing(node.interface.name, attachedTo: attached) }
    guard interface.hardwareAddress != nil else {
      throw StartError(
        "interface \(interface.name) is no Ethernet interface: nothing could be forwarded on it",
        cure: "interfaces[0].name names the interface that clients' packets arrive on: see `ip -d link`")
    }
    if !takesOver, attachment != .none, attachment != .here(interface.index) {
      throw foreign(attachment, named: attached?.name, node)
    }
    return (interface, attached)
  }

  /// A copied configuration, with the pins of another balancer in it, would take that one's link away.
  private static func foreign(
    _ attachment: Forwarder.PinnedAttachment, named name: String?, _ node: NodeSettings
  ) -> StartError {
    let place =
      switch attachment {
      case .elsewhere(let index): "interface \(index) of another network namespace"
      default: name ?? "another interface"
      }
    return StartError(
      "the pins in \(node.pinDirectory) forward on \(place), and this configuration is for \(node.interface.name)",
      cure:
        "give this configuration paths.pins, paths.state and sockets of its own; or, to move forwarding to "
        + "\(node.interface.name): sluiced --take-over")
  }

  private static func missing(_ name: String, attachedTo link: Link?) -> StartError {
    let forwarding = link.map {
      ". The running program forwards on interface \($0.index), which is \($0.name) now"
    }
    return StartError(
      "interface \(name) does not exist\(forwarding ?? "")",
      cure: "interfaces[0].name names an interface of this host: see `ip link`")
  }
}

extension HealthTransition {
  fileprivate var notice: Notice {
    let isWorse = from.isHealthy && !to.isHealthy
    return Notice.line(
      isWorse ? .warning : from.isHealthy == to.isHealthy ? .info : .notice, "backend is \(to.rawValue)",
      ["backend": "\(backend)", "from": from.rawValue, "reason": reason ?? "probes pass"]
    ).with(
      event: .event("health", "\(backend)", old: from.rawValue, new: to.rawValue, reason: reason))
  }
}
