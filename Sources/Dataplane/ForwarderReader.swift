// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

/// Reads counters and the flow table, on any thread, while the ``Forwarder`` writes. It changes nothing.
public struct ForwarderReader: Sendable {
  private let maps: ForwarderMaps
  private let clock: PacketClock
  private let clockProgram: BPFProgram
  private let keys: HashKeys
  private let gracePeriod: GracePeriod

  init(
    maps: ForwarderMaps, clock: PacketClock, clockProgram: BPFProgram, keys: HashKeys,
    gracePeriod: GracePeriod
  ) {
    self.maps = maps
    self.clock = clock
    self.clockProgram = clockProgram
    self.keys = keys
    self.gracePeriod = gracePeriod
  }

  /// Seconds of the packet path's tick.
  public var tickLength: Double { clock.tickLength }

  /// The packet path's time.
  public func now() throws(DataplaneError) -> Tick {
    try inKernel { () throws(BPFError) in try PacketClock.now(clockProgram) }
  }

  /// Walks the flow table and removes nothing. ``Forwarder/clear(_:)`` removes what the walk found dead.
  ///
  /// Begins when no packet is under way any more that was before the call.
  /// - Parameter installed: what the maps hold. The result says nothing of backends, services and slots that change during
  ///   the walk.
  public func walk(_ installed: InstalledState) throws(DataplaneError) -> FlowWalkResult {
    try inKernel { () throws(BPFError) in try gracePeriod.wait() }
    let now = try now()
    var walk = FlowWalk(installed, maps: maps, clock: clock, keys: keys, now: now)
    try inKernel { () throws(BPFError) in try maps.flows.forEachEntry { walk.meet($0, $1) } }
    walk.meetClients()
    var census = walk.census
    census.lastUnknown = try lastUnknown(of: installed, now)
    return FlowWalkResult(census: census, walk: walk)
  }

  private func lastUnknown(
    of installed: InstalledState, _ now: Tick
  ) throws(DataplaneError) -> [BackendNumber: Int] {
    // Numbers are given out from the lowest one on, so that this is the part of the map that is in use.
    let end = (installed.backends.keys.max() ?? 0) + 1
    let all = try inKernel { () throws(BPFError) in try maps.lastUnknown.lookup(0..<end) }
    var seen: [BackendNumber: Int] = [:]
    for number in installed.backends.keys where all[Int(number)] & LAST_UNKNOWN_SEEN != 0 {
      let tick = Tick(UInt32(truncatingIfNeeded: all[Int(number)]))
      seen[number] = clock.seconds(ticks: now.sincePacket(tick))
    }
    return seen
  }

  // MARK: Counters

  /// Every verdict with what it counted, in the order of the ABI.
  public func verdicts() throws(DataplaneError) -> [VerdictCount] { try maps.verdictCounts() }

  /// What became of flows on slots that remember.
  public func flowEvents() throws(DataplaneError) -> FlowEvents { try maps.flowEventCounts() }

  /// Packets forwarded for a service, by its backends' places among the pool's counters.
  public func forwarded(_ service: InstalledState.Service) throws(DataplaneError) -> [Counter] {
    try maps.pairTotals(service.pairs)
  }

  /// Packets of a service's older flows, forwarded to backends of the pool that it had, by their places there.
  public func forwarded(_ move: InstalledState.Service.Move) throws(DataplaneError) -> [Counter] {
    try maps.pairTotals(move.pairs)
  }
}

/// A walk through the flow table, with the entries that it found dead.
public struct FlowWalkResult: Sendable {
  public internal(set) var census: FlowCensus
  let walk: FlowWalk?
  /// Whether entries can be removed.
  public let hasUnwanted: Bool

  init(census: FlowCensus, walk: FlowWalk) {
    self.census = census
    self.walk = walk
    hasUnwanted = !walk.dead.isEmpty || !walk.once.isEmpty
  }

  /// A result without a flow table, for tests.
  public init(census: FlowCensus, hasUnwanted: Bool = false) {
    self.census = census
    self.hasUnwanted = hasUnwanted
    walk = nil
  }
}

extension Forwarder {
  /// For reading on other threads.
  public var reader: ForwarderReader {
    ForwarderReader(
      maps: maps, clock: clock, clockProgram: clockProgram, keys: keys, gracePeriod: gracePeriod)
  }

  /// Removes the entries that a walk found dead and, where the table is more than half full, those of flows that nothing
  /// has confirmed and that were silent lately. Only what may still go by what is installed now is removed.
  /// - Returns: how many entries were removed.
  public func clear(
    _ result: FlowWalkResult, in installed: InstalledState
  ) throws(DataplaneError) -> Int {
    guard let walk = result.walk else { return 0 }
    var unwanted = walk.dead
    if result.census.entries > limits.flows / 2 { unwanted += walk.once }
    let present = FlowWalk(installed, maps: maps, clock: clock, keys: keys, now: try reader.now())
    var cleared = 0
    for key in unwanted where try clear(key, present) { cleared += 1 }
    return cleared
  }

  /// Walks the flow table and removes what is dead.
  public func census(of installed: InstalledState) throws(DataplaneError) -> FlowCensus {
    let result = try reader.walk(installed)
    var census = result.census
    census.cleared = try clear(result, in: installed)
    census.entries -= census.cleared
    return census
  }

  /// Removes an entry, unless a packet has brought it to life since the walk met it.
  private func clear(_ key: flow_key, _ walk: FlowWalk) throws(DataplaneError) -> Bool {
    try inKernel { () throws(BPFError) in
      guard let taken = try maps.flows.take(key) else { return false }
      guard walk.mayGo(key, taken) else {
        try? maps.flows.update(key, to: taken, when: .noExist)
        return false
      }
      return true
    }
  }
}
