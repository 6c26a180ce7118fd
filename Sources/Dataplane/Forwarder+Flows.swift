// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

extension Forwarder {
  /// Walks the flow table: counts what lives, puts away what is dead, and where the table is more than half full also
  /// flows that nothing has confirmed and that were silent lately.
  ///
  /// Begins when no packet is under way any more that was before the call.
  public func census(of installed: InstalledState) throws(DataplaneError) -> FlowCensus {
    try inKernel { () throws(BPFError) in try gracePeriod.wait() }
    let now = try now()
    var walk = FlowWalk(installed, maps: maps, clock: clock, keys: keys, now: now)
    try inKernel { () throws(BPFError) in try maps.flows.forEachEntry { walk.meet($0, $1) } }
    walk.meetClients()
    var census = walk.census
    var unwanted = walk.dead
    if census.entries > limits.flows / 2 { unwanted += walk.once }
    for key in unwanted where try clear(key, walk) { census.cleared += 1 }
    census.entries -= census.cleared
    census.lastUnknown = try lastUnknown(of: installed, now)
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

  private func lastUnknown(
    of installed: InstalledState, _ now: Tick
  ) throws(DataplaneError) -> [BackendNumber: Int] {
    let all = try inKernel { () throws(BPFError) in
      try maps.lastUnknown.lookup(0..<maps.lastUnknown.info.maxEntries)
    }
    var seen: [BackendNumber: Int] = [:]
    for number in installed.backends.keys where all[Int(number)] & LAST_UNKNOWN_SEEN != 0 {
      let tick = Tick(UInt32(truncatingIfNeeded: all[Int(number)]))
      seen[number] = clock.seconds(ticks: now.sincePacket(tick))
    }
    return seen
  }
}
