// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// The interfaces over which packets arrive and leave. There is one.
struct Uplinks: Sendable {
  private(set) var all: [Uplink]

  /// - Parameter link: the interface as it is at the start; nil: there is none.
  init(_ settings: NodeSettings.Interface, link: Link?) { all = [Uplink(settings: settings, link: link)] }

  /// The uplink, as long as there is one.
  private var only: Uplink {
    get { all[0] }
    _modify { yield &all[0] }
  }

  // MARK: State

  var interface: Link? { only.link }
  /// What the interface is called now; where there is none, what it is called in the configuration.
  var interfaceName: String { only.name }
  var configuredName: String { only.settings.name }
  /// Whether packets meet the program, as far as is known.
  var isForwarding: Bool { attachment != nil && interface != nil }
  /// Who detached the program on request; nil: it was not detached since it was last attached.
  var detachedBy: String? { only.attachment.detachedBy }
  /// Why the program is not on the interface although it should be.
  var attachTrouble: String? { only.attachment.trouble }
  /// The attachment in force; nil: the program is not attached.
  var attachment: AttachmentReport? { only.attachment.report }
  /// Why no packet of a probe leaves the interface; nil: they do, as far as is known.
  var probeTrouble: String? { only.probeTrouble }

  func path(to backend: InstalledState.Backend) -> BackendPath? { only.path(to: backend) }

  /// The addresses of backends whose paths are notable.
  var notablePaths: NotablePaths { only.notablePaths }

  /// The addresses of backends whose paths are like this. To find such backends it is cheaper to look at all paths than
  /// to look up the path of each backend.
  func addresses(whosePath isConcerned: (BackendPath) -> Bool) -> Set<IPAddress> {
    var found: Set<IPAddress> = []
    for (address, path) in only.paths where isConcerned(path) { found.insert(address) }
    return found
  }

  /// What the data plane is to know of the paths to backends, by address.
  var nextHops: [IPAddress: NextHopState] { only.paths.mapValues(\.state) }

  /// The same, of one address.
  func nextHop(to address: IPAddress) -> NextHopState? { only.paths[address]?.state }

  /// The same, of some addresses.
  func nextHops(to addresses: Set<IPAddress>) -> [IPAddress: NextHopState] {
    var found: [IPAddress: NextHopState] = [:]
    for address in addresses { found[address] = nextHop(to: address) }
    return found
  }

  var alarms: [Alarm] { all.flatMap(\.alarms) }

  /// Those of the addresses whose next hop has no known link-layer address.
  func unresolved(_ addresses: Set<IPAddress>) -> Set<IPAddress> {
    addresses.filter { only.paths[$0]?.state.mac == nil }
  }

  /// - Parameter vips: VIPs that backends of another family are probed at.
  func query(for addresses: Set<IPAddress>, vips: [IPAddress]) -> NetworkQuery {
    NetworkQuery(
      interfaceIndex: only.link?.index, interfaceName: only.settings.name, addresses: addresses, vips: vips)
  }

  /// The addresses whose paths a tick reads. Of many it is a part, so that all are read within a minute: the kernel
  /// reports changes of routes and neighbours, and ticks find what it does not report, such as changed rules.
  mutating func addressesDue(of addresses: Set<IPAddress>) -> Set<IPAddress> {
    only.addressesDue(of: addresses)
  }

  /// What attaching the program takes; nil: there is no interface.
  /// - Parameter requester: nil: the daemon by itself.
  func attachRequest(by requester: Requester?) -> AttachRequest? { only.attachRequest(by: requester) }

  // MARK: Inputs

  /// Takes in what was read of the network.
  /// - Returns: what is to be done, in order.
  mutating func observe(
    _ reading: Result<NetworkView, NetlinkError>, installed: InstalledState, at now: Moment
  ) -> (actions: [UplinkAction], notices: [Notice]) {
    switch reading {
    case .success(let view): only.observe(view, installed, at: now)
    case .failure(let error):
      ([], [.line(.error, "the network's state could not be read", ["error": "\(error)"])])
    }
  }

  /// Takes in what the start, or a change for the addresses that it adds, read. What is known stays as it is.
  mutating func learn(_ view: NetworkView) { only.learn(view) }

  /// Forgets the paths to all other addresses.
  mutating func keepPaths(to addresses: Set<IPAddress>) { only.keepPaths(to: addresses) }

  mutating func attached(_ result: Result<AttachmentReport, DataplaneError>, by requester: Requester?)
    -> (actions: [UplinkAction], notices: [Notice])
  {
    only.attached(result, by: requester)
  }

  mutating func detached(by requester: Requester) -> [Notice] { only.detached(by: requester) }

  /// - Parameter result: the interface on which the programs of probes are in force now.
  mutating func probeHookAttached(_ result: Result<UInt32, DataplaneError>) -> [Notice] {
    only.probeHookAttached(result)
  }

  // MARK: Probes

  /// How probes reach installed backends.
  /// - Parameter checked: pools of which backends are checked; nil: all. Beside them, what remains is checked.
  func probePaths(
    of installed: InstalledState, beside remainder: HealthBoard.Remainder, ofPools checked: Set<String>? = nil
  ) -> ProbePathUpdate {
    let health = HealthView(remainder: remainder)
    let index = installed.index
    var numbers = Set(remainder.leaving.keys)
    for pool in checked ?? Set(index.members.keys) {
      numbers.formUnion((index.members[pool] ?? []).map(\.number))
    }
    var paths: [BackendKey: HealthChecks.ProbePath] = [:]
    for backend in numbers.lazy.compactMap({ installed.backends[$0] }) {
      paths[health.checkKey(of: backend)] = only.probePath(to: backend)
    }
    return ProbePathUpdate(
      paths: paths, interfaceIndex: only.probeHook.isInForce(on: interface) ? interface?.index : nil,
      trouble: probeTrouble)
  }

  func probePath(to backend: InstalledState.Backend) -> HealthChecks.ProbePath { only.probePath(to: backend) }
}

/// What an uplink asks for.
enum UplinkAction: Equatable, Sendable {
  /// Attach the program to the interface.
  case attach(Link)
  /// The interface has another address.
  case setInterfaceAddress(HardwareAddress)
  /// Attach the programs of probes to the interface with this index.
  case attachProbeHook(UInt32)
  /// The next hops of installed backends changed.
  case setNextHops
  /// What ``Uplinks/probePaths(of:beside:ofPools:)`` returns changed.
  case updateProbePaths
}

/// How probes reach backends.
struct ProbePathUpdate: Sendable {
  var paths: [BackendKey: HealthChecks.ProbePath]
  /// Where tunnelled probes leave; nil: they cannot.
  var interfaceIndex: UInt32?
  /// Why no probe can leave this host; nil: they can.
  var trouble: String?
}
