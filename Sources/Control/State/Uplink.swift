// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// An interface with the forwarding program: link, attachment, and the paths to backends over it.
struct Uplink: Sendable {
  let settings: NodeSettings.Interface
  /// nil: there is no such interface.
  private(set) var link: Link?
  private(set) var attachment = UplinkAttachment.notYet
  private(set) var paths: [IPAddress: BackendPath] = [:] { didSet { derivedNotablePaths.forget() } }
  private var derivedNotablePaths = Derived<NotablePaths>()
  private(set) var probeHook = ProbeHook()
  private(set) var probeRoutes = ProbeRoutes()
  /// Counts ticks.
  private var round = 0

  init(settings: NodeSettings.Interface, link: Link?) {
    self.settings = settings
    self.link = link
  }

  var name: String { link?.name ?? settings.name }

  /// Why no packet of a probe leaves the interface; nil: they do, as far as is known.
  var probeTrouble: String? {
    guard let link else { return "interface \(settings.name) does not exist" }
    if !link.isRunning { return "interface \(link.name) has no carrier or is down" }
    return probeHook.isInForce(on: link)
      ? nil : "probes cannot leave \(link.name): \(probeHook.trouble ?? "their program is not attached")"
  }

  var notablePaths: NotablePaths { derivedNotablePaths { NotablePaths(paths) } }

  // MARK: The interface

  mutating func observe(
    _ view: NetworkView, _ installed: InstalledState, at now: Moment
  ) -> (actions: [UplinkAction], notices: [Notice]) {
    let (before, troubleBefore) = (link, probeTrouble)
    link = view.link
    probeHook.index = view.probeHookIndex
    guard let link else {
      guard let before else { return ([], []) }
      return (
        [.updateProbePaths],
        [
          Notice.line(.error, "interface is gone", ["interface": before.name])
            .with(event: .event("interface", before.name, new: "gone"))
        ]
      )
    }
    var (actions, notices) = follow(link, from: before, at: now)
    if let trouble = view.pathTrouble {
      notices.append(.line(.error, "routes and neighbours could not be read", ["error": trouble]))
    } else {
      let (old, oldRoutes) = (paths, probeRoutes)
      notices += merge(view)
      markMissingSources(of: installed, on: link)
      probeRoutes.sources = view.sources
      probeRoutes.gateways.merge(view.gateways) { $1 }
      if paths != old { actions.append(.setNextHops) }
      if paths != old || probeRoutes != oldRoutes { actions.append(.updateProbePaths) }
    }
    if probeTrouble != troubleBefore, !actions.contains(.updateProbePaths) {
      actions.append(.updateProbePaths)
    }
    return (actions, notices)
  }

  private mutating func follow(
    _ link: Link, from before: Link?, at now: Moment
  ) -> (actions: [UplinkAction], notices: [Notice]) {
    var actions: [UplinkAction] = []
    var notices: [Notice] = []
    if !probeHook.isInForce(on: link), probeHook.request(at: now) {
      actions.append(.attachProbeHook(link.index))
    }
    if let before, before.index == link.index, before.name != link.name {
      notices.append(
        Notice.line(
          .warning, "interface renamed; forwarding goes on there", ["from": before.name, "to": link.name]
        ).with(
          event: .event("interface", link.name, old: "name \(before.name)", new: "name \(link.name)")))
    }
    if attachment.isWanted, !attachment.isInForce(on: link) {
      if attachment.request(at: now) { actions.append(.attach(link)) }
    } else if attachment.isWanted, mayRunNative(link, before) {
      notices.append(.line(.notice, "trying native mode again", ["interface": link.name]))
      actions.append(.attach(link))
    } else {
      let (action, notice) = followAddress(of: link)
      actions += action
      notices += notice
    }
    return (actions, notices)
  }

  /// Compares with the address that the program has, not with the one seen last: the address may change while the
  /// program is being attached with the one before.
  private mutating func followAddress(of link: Link) -> (actions: [UplinkAction], notices: [Notice]) {
    guard case .attached(var report, let requested) = attachment, let address = link.hardwareAddress,
      address != report.address
    else { return ([], []) }
    let old = report.address.map { "mac \($0)" }
    report.address = address
    attachment = .attached(report, requested: requested)
    return (
      [.setInterfaceAddress(address)],
      [
        Notice.line(.notice, "interface address changed", ["mac": "\(address)"])
          .with(event: .event("interface", link.name, old: old, new: "mac \(address)"))
      ]
    )
  }

  /// Whether `auto`, which chose generic mode, may get native mode now: drivers refuse it for an MTU that is too large.
  /// It is tried after changes of the MTU only, because packets pass to the stack meanwhile.
  private func mayRunNative(_ link: Link, _ before: Link?) -> Bool {
    settings.mode == .auto && attachment.report?.mode == .generic && link.mtu != before?.mtu
  }

  // MARK: The attachment

  func attachRequest(by requester: Requester?) -> AttachRequest? {
    link.map { AttachRequest(link: $0, mode: settings.mode, by: requester) }
  }

  mutating func attached(
    _ result: Result<AttachmentReport, DataplaneError>, by requester: Requester?
  ) -> (actions: [UplinkAction], notices: [Notice]) {
    switch result {
    case .success(let report):
      attachment = .attached(report)
      let (actions, notices) = link.map { followAddress(of: $0) } ?? ([], [])
      return (actions, [report.notice(of: name, by: requester)] + notices)
    case .failure(let error):
      // An operator's request that failed is answered, and changes nothing.
      guard requester == nil else { return ([], []) }
      let (trouble, before) = ("\(error)", attachment.trouble)
      attachment = .failed(trouble, requested: nil)
      return ([], trouble == before ? [] : [.line(.error, "not attached again", ["error": trouble])])
    }
  }

  mutating func detached(by requester: Requester) -> [Notice] {
    attachment = .detached(by: requester.identity)
    return [
      Notice.line(
        .notice, "detached: nothing is forwarded any more",
        ["interface": name, "by": requester.identity]
      ).with(event: .event("interface", name, new: "detached", by: requester.identity))
    ]
  }

  mutating func probeHookAttached(_ result: Result<UInt32, DataplaneError>) -> [Notice] {
    let before = probeHook.trouble
    switch result {
    case .success(let index): probeHook = ProbeHook(index: index)
    case .failure(let error): probeHook = ProbeHook(index: probeHook.index, trouble: "\(error)")
    }
    guard let trouble = probeHook.trouble, trouble != before else { return [] }
    return [.line(.error, "probes cannot leave", ["error": trouble])]
  }

  // MARK: Paths

  /// About as many addresses are read at a tick, so that reading costs little however many there are. The kernel reports
  /// changes; reading without a report finds what was lost.
  private static let addressesOfTick = 512

  mutating func addressesDue(of addresses: Set<IPAddress>) -> Set<IPAddress> {
    let rounds = (addresses.count + Self.addressesOfTick - 1) / Self.addressesOfTick
    guard rounds > 1 else { return addresses }
    round = (round + 1) % rounds
    return addresses.filter { address in
      Int(address.bits % UInt128(rounds)) == round || paths[address].map { $0.trouble != nil } ?? true
    }
  }

  mutating func learn(_ view: NetworkView) {
    if probeHook.index == nil { probeHook.index = view.probeHookIndex }
    guard view.pathTrouble == nil else { return }
    for (address, path) in view.paths where paths[address]?.state.mac == nil { paths[address] = path }
    probeRoutes.sources.merge(view.sources) { known, _ in known }
    probeRoutes.gateways.merge(view.gateways) { known, _ in known }
  }

  /// - Returns: next hops whose link-layer address changed.
  private mutating func merge(_ view: NetworkView) -> [Notice] {
    var moved: [IPAddress: (from: HardwareAddress, to: HardwareAddress)] = [:]
    for (address, path) in view.paths {
      let before = paths[address]
      if let via = path.via, before?.via == via, let mac = path.state.mac, let old = before?.state.mac,
        mac != old
      {
        moved[via] = (old, mac)
      }
      var path = path
      if path.state.mac == nil {
        // A next hop that stops answering keeps its last known address: sending there is better than not sending.
        path.state.mac = before?.state.mac
        path.via = path.via ?? before?.via
        path.state.isOnLink = before?.state.isOnLink ?? false && path.via == before?.via
      }
      paths[address] = path
    }
    return moved.sorted { $0.key < $1.key }.map { via, change in moveNotice(of: via, change.from, change.to) }
  }

  /// The path to a backend. Without an outer header, a path by a router is none: the router would send packets for a VIP
  /// back to this host.
  func path(to backend: InstalledState.Backend) -> BackendPath? {
    guard var path = paths[backend.address], !backend.encapsulation.isTunnel, !path.state.isOnLink else {
      return paths[backend.address]
    }
    path.state.mac = nil
    path.isResolved = false
    if let via = path.via, via != backend.address {
      path.trouble =
        "\(backend.address) is not on the link of \(name): its next hop is \(via), and encapsulation l2 needs the "
        + "backend itself"
    }
    return path
  }

  /// Forgets the paths to all other addresses.
  mutating func keepPaths(to addresses: Set<IPAddress>) {
    paths = paths.filter { addresses.contains($0.key) }
  }

  /// A router that takes over announces itself with another address. A host that pretends to be the router does, too.
  private func moveNotice(of via: IPAddress, _ from: HardwareAddress, _ to: HardwareAddress) -> Notice {
    Notice.line(
      .warning, "next hop has another link-layer address",
      ["next_hop": "\(via)", "from": "\(from)", "to": "\(to)"]
    ).with(
      event: .event(
        "interface", "next hop \(via)", old: "mac \(from)", new: "mac \(to)",
        reason:
          "as the kernel's neighbour table says; to pin it: ip neigh replace \(via) lladdr \(from) "
          + "nud permanent dev \(name)"))
  }

  /// Marks backends whose outer source is to be the interface's address, where it has none.
  private mutating func markMissingSources(of installed: InstalledState, on link: Link) {
    for backend in installed.backends.values
    where backend.encapsulation.isTunnel && backend.encapsulation.source(backend.address.family) == nil {
      guard let path = paths[backend.address], path.state.sourceAddress == nil, path.trouble == nil else {
        continue
      }
      let family =
        backend.address.family == .v4 ? (name: "IPv4", key: "source4") : (name: "IPv6", key: "source6")
      paths[backend.address]?.trouble =
        "\(link.name) has no \(family.name) address to send from, and encapsulation.\(family.key) is not set"
    }
  }
}
