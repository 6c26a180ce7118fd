// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Logging
internal import Netlink
internal import Synchronization

/// The kernel's data plane.
final class LiveDataplane: DataplaneWriter {
  private struct State: ~Copyable {
    let forwarder: Forwarder
    var patrol = MapPatrol()
  }

  private let state: Mutex<State>
  private let reader: ForwarderReader
  private let probeTunnel: ProbeTunnel
  private let lock: PinLock
  private let stateDirectory: String
  private let isFullSpeed: Bool
  /// Writes files, so that attaching waits for no disk.
  private let files = Worker("native-refused")
  private let logger: Logger

  init(
    _ forwarder: sending Forwarder, probeTunnel: ProbeTunnel, lock: PinLock, stateDirectory: String,
    logger: Logger
  ) {
    reader = forwarder.reader
    isFullSpeed = forwarder.isFullSpeed
    self.probeTunnel = probeTunnel
    self.lock = lock
    self.stateDirectory = stateDirectory
    self.logger = logger
    state = Mutex(State(forwarder: forwarder))
  }

  func adopt(_ request: AdoptionRequest) throws(DataplaneError) -> Adoption {
    try state.withLock { state throws(DataplaneError) in
      let forwarder = state.forwarder
      if let address = request.address { forwarder.setInterfaceAddress(address) }
      // A program that takes over the link here meets packets before the first plan, or without one.
      forwarder.setPacketPolicy(request.policy)
      let log = try forwarder.takeOver(expecting: request.expected)
      var adoption = Adoption(log: log, origin: forwarder.origin, installed: InstalledState())
      if case .created = forwarder.origin {
      } else {
        adoption.installed = try forwarder.readInstalled(
          expecting: request.expected, findings: &adoption.damage)
      }
      adoption.isDoubtful = forwarder.tablesAreDoubtful(adoption.installed)
      return adoption
    }
  }

  func apply(_ application: PlanApplication) throws(DataplaneError) -> Applied {
    let forwarded = application.counting.flatMap { try? reader.forwarded($0, of: nil) }
    var applied = try state.withLock { state throws(DataplaneError) -> Applied in
      let forwarder = state.forwarder
      var applied = Applied(forwarded: forwarded)
      // Steps are checked against what is in the maps: that has to be what was read.
      if let installed = application.repairing {
        _ = try forwarder.repair(
          installed, parts: [.backends, .pools], nextHops: application.nextHops)
      }
      if let policy = application.policyBefore { forwarder.setPacketPolicy(policy) }
      try forwarder.apply(application.plan, nextHops: application.nextHops)
      forwarder.setPacketPolicy(application.policyAfter)
      if application.repairing != nil {
        applied.leftovers = try forwarder.repair(application.plan.result, nextHops: application.nextHops)
      }
      return applied
    }
    applied.unwritten = try? reader.flowEvents().unwritten
    return applied
  }

  func recover(
    expecting expected: DesiredState, nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) -> Recovery {
    try state.withLock { state throws(DataplaneError) in
      var recovery = Recovery(installed: InstalledState())
      recovery.installed = try state.forwarder.readInstalled(
        expecting: expected, findings: &recovery.damage)
      // What the change that failed left half done is no damage: names and keys without a record, too.
      _ = try state.forwarder.repair(recovery.installed, nextHops: nextHops)
      return recovery
    }
  }

  func patrol(
    _ installed: InstalledState, nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) -> [String] {
    try state.withLock { state throws(DataplaneError) in
      try state.forwarder.repairNext(&state.patrol, installed, nextHops: nextHops)
    }
  }

  func rewrite(_ rewrites: [SlotRewrite]) {
    state.withLock { state in
      for rewrite in rewrites { state.forwarder.rewrite(rewrite.slots, of: rewrite.pool) }
    }
  }

  func clear(_ walk: FlowWalkResult, in installed: InstalledState) throws(DataplaneError) -> Int {
    try state.withLock { state throws(DataplaneError) in try state.forwarder.clear(walk, in: installed) }
  }

  func set(nextHops: [BackendNumber: NextHopState]) {
    state.withLock { state in
      for (number, nextHop) in nextHops { state.forwarder.setNextHop(nextHop, of: number) }
    }
  }

  func set(interfaceAddress: HardwareAddress) {
    state.withLock { $0.forwarder.setInterfaceAddress(interfaceAddress) }
  }

  // MARK: The program on its interface

  func attach(_ request: AttachRequest) throws(DataplaneError) -> AttachmentReport {
    let link = request.link
    let asIs = NativeRefusal(interfaceIndex: link.index, mtu: link.mtu)
    let isRefused = request.mode == .auto && NativeRefusal.load(from: stateDirectory) == asIs
    let report = try state.withLock { state throws(DataplaneError) -> AttachmentReport in
      let forwarder = state.forwarder
      if let address = link.hardwareAddress { forwarder.setInterfaceAddress(address) }
      try forwarder.attach(interfaceIndex: link.index, mode: request.mode, keepsGeneric: isRefused)
      return AttachmentReport(
        address: link.hardwareAddress, mode: forwarder.attachment?.mode ?? request.mode,
        reason: forwarder.attachment?.reason ?? "",
        programID: (try? forwarder.program.info.id) ?? 0, isFullSpeed: isFullSpeed)
    }
    remember(asIs, wasRefused: isRefused, request.mode, report.mode)
    return report
  }

  /// Remembers that native mode was refused, or forgets it.
  private func remember(
    _ refusal: NativeRefusal, wasRefused: Bool, _ wanted: AttachMode, _ mode: AttachMode
  ) {
    files.enqueue { [stateDirectory, logger] in
      if wanted != .auto || mode == .native {
        NativeRefusal.remove(from: stateDirectory)
      } else if !wasRefused {
        do {
          try refusal.save(in: stateDirectory)
        } catch {
          logger.error("that native mode was refused is not saved", metadata: ["error": "\(error)"])
        }
      }
    }
  }

  func detach() throws(DataplaneError) {
    try state.withLock { state throws(DataplaneError) in try state.forwarder.detach() }
  }

  func attachProbeHook(interfaceIndex: UInt32) throws(DataplaneError) {
    try probeTunnel.attach(interfaceIndex: interfaceIndex)
  }

  func watchPins() throws(DataplaneError) -> Bool {
    let wereRemoved = try state.withLock { state throws(DataplaneError) in
      try state.forwarder.restorePins()
    }
    try lock.renew()
    return wereRemoved
  }
}

extension ForwarderReader: DataplaneReader {
  func forwarded(
    _ installed: InstalledState, of pools: Set<String>?
  ) throws(DataplaneError) -> [ForwardedRun] {
    var runs: [ForwardedRun] = []
    for (key, service) in installed.services {
      let pool = service.service.pool
      if pools?.contains(pool) ?? true {
        let counters = try forwarded(service)
        runs.append(ForwardedRun(service: key, pool: pool, counters: counters))
      }
      if let move = service.move, pools?.contains(move.pool) ?? true {
        let counters = try forwarded(move)
        runs.append(ForwardedRun(service: key, pool: move.pool, counters: counters))
      }
    }
    return runs
  }
}

/// The clocks of this host.
final class LiveClock: Clock {
  private let reader: ForwarderReader
  /// The last tick that was read.
  private let last = Mutex(Tick(0))

  init(_ reader: ForwarderReader) { self.reader = reader }

  var now: Moment { .now }

  var packetTick: Tick {
    last.withLock { last in
      if let now = try? reader.now() { last = now }
      return last
    }
  }
}
