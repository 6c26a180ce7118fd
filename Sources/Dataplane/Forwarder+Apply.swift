// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

/// The way to a backend, as the kernel's routes and neighbours know it.
public struct NextHopState: Hashable, Sendable {
  /// Six octets; nil while the neighbour has not answered.
  public var mac: [UInt8]?
  /// The largest packet that the way takes, outer header included.
  public var mtu: Int
  /// The interface's address towards the backend: the outer source where none is configured.
  public var sourceAddress: IPAddress?

  public init(mac: [UInt8]?, mtu: Int, sourceAddress: IPAddress? = nil) {
    self.mac = mac
    self.mtu = mtu
    self.sourceAddress = sourceAddress
  }
}

extension Forwarder {
  /// Carries out a plan's steps in their order.
  ///
  /// What they wrote is read back through the kernel and compared. Throws at the first step that fails; every step
  /// before it is in force and the installed state, which ``readInstalled()`` tells, forwards. The caller plans anew
  /// from there.
  /// - Parameter nextHops: the way to each backend's address; backends whose way is unknown drop until it is set.
  public func apply(_ plan: Plan, nextHops: [IPAddress: NextHopState]) throws(DataplaneError) {
    do throws(DataplaneError) {
      try markVIPs(of: plan.result)
      for step in plan.steps { try apply(step, plan.result, nextHops) }
      setLeaving(plan.result)
      try noteTables(of: plan.result)
      try unmarkOthers(than: plan.result)
      FaultPoint.beforeVerification.pass()
      try verify(plan)
    } catch {
      // The next plan may write where packets that are under way still read.
      try waitForReaders()
      throw error
    }
  }

  private func apply(
    _ step: Plan.Step, _ result: InstalledState, _ nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) {
    switch step {
    case .renameBackend(let backend): try writeName(of: backend)
    case .renamePool(let pool): try writeName(of: pool)
    case .writeBackend(let backend):
      try write(backend, pool: result.pools[backend.pool]?.number ?? 0, nextHops[backend.address])
    case .resetPairs(let pairs): try setPairs(pairs.map { ($0, Counter()) })
    case .publishTable(let pool): try publish(pool)
    case .setSettle(let pool): setSelection(of: pool)
    case .addService(let service, let pool): try add(service, pool: pool)
    case .changeService(let service, let pool, let before):
      let poolBefore = service.move.flatMap { result.pools[$0.pool]?.number }
      try change(service, record(service, pool: pool, poolBefore: poolBefore), pairsBefore: before)
    case .removeService(let service): try remove(service)
    case .setUsable(let number, let isUsable): setFlag(BACKEND_USABLE, of: number, isUsable)
    case .setDraining(let number, let isDraining): setFlag(BACKEND_DRAINING, of: number, isDraining)
    case .waitForReaders: try waitForReaders()
    case .releaseBackend(let number): try release(number)
    case .releasePool(let number): try releasePool(number)
    }
  }

  // MARK: Backends

  private func write(
    _ installed: InstalledState.Backend, pool: Int, _ nextHop: NextHopState?
  ) throws(DataplaneError) {
    let index = Int(installed.number)
    // The number's last generation stays behind when it is released, so that old flow entries never fit.
    var record = backend(
      installed, generation: maps.backends[index].generation &+ 1, pool: pool,
      interfaceAddress: nextHop?.sourceAddress)
    record.mtu = UInt16(clamping: nextHop?.mtu ?? 1500)
    record.next_hop = Self.nextHopWord(nextHop?.mac, record)
    try inKernel { () throws(BPFError) in try maps.lastUnknown.update(installed.number, to: 0) }
    maps.backends[index] = record
    generations[installed.number] = record.generation
    FaultPoint.beforeBackendName.pass()
    // Whose number has no name is nobody, also for a daemon that finds a record half written.
    try writeName(of: installed)
  }

  private func writeName(of backend: InstalledState.Backend) throws(DataplaneError) {
    try inKernel { () throws(BPFError) in
      try maps.backendNames.update(backend.number, to: identity("\(backend.pool)/\(backend.name)"))
    }
  }

  private func release(_ number: BackendNumber) throws(DataplaneError) {
    setFlag(BACKEND_LEAVING, of: number, false)
    try inKernel { () throws(BPFError) in try maps.backendNames.update(number, to: identity("")) }
  }

  private func setFlag(_ flag: Int32, of number: BackendNumber, _ isSet: Bool) {
    let bit = UInt64(flag) << 32
    let word = maps.backends.loadWord(element: Int(number), byteOffset: Self.stateOffset)
    let changed = isSet ? word | bit : word & ~bit
    if changed != word {
      maps.backends.storeWord(changed, element: Int(number), byteOffset: Self.stateOffset)
      FaultPoint.afterBackendFlag.pass()
    }
  }

  private func setLeaving(_ result: InstalledState) {
    for backend in result.backends.values { setFlag(BACKEND_LEAVING, of: backend.number, backend.isLeaving) }
  }

  /// Tells packets the way to a backend, from the next packet on.
  ///
  /// Where the interface's address is the outer source, that follows too. It takes more than one store: a packet that
  /// is just being sent may be lost, as it would be with the address that is the interface's no more.
  public func setNextHop(_ nextHop: NextHopState, of number: BackendNumber) {
    let old = maps.backends[Int(number)]
    var record = old
    record.mtu = UInt16(clamping: nextHop.mtu)
    if let source = nextHop.sourceAddress { record.follow(interfaceAddress: source) }
    record.next_hop = Self.nextHopWord(nextHop.mac, record)
    // The next hop is the first word and comes last: nothing is sent before its source is there.
    for offset in stride(from: MemoryLayout<backend>.size - 8, through: 0, by: -8)
    where offset != Self.stateOffset && word(of: record, at: offset) != word(of: old, at: offset) {
      maps.backends.storeWord(word(of: record, at: offset), element: Int(number), byteOffset: offset)
    }
  }

  /// Unresolved, too, where no outer source is known yet: nobody could tell whom such packets are from.
  static func nextHopWord(_ mac: [UInt8]?, _ record: backend) -> UInt64 {
    guard let mac, record.outerSource.bits != 0 else { return 0 }
    return macWord(mac) | UInt64(NEXT_HOP_RESOLVED)
  }

  static var stateOffset: Int { MemoryLayout<backend>.offset(of: \.state)! }

  // MARK: Tables

  private func publish(_ pool: InstalledState.Pool) throws(DataplaneError) {
    let words = pool.slots.map(\.word)
    maps.slotWords.withElements(pool.region) { span in
      for index in words.indices {
        span[index] = words[index]
        if index == words.count / 2 { FaultPoint.amongSlots.pass() }
      }
    }
    guard try sum(ofSlots: pool.region) == words.reduce(0, slot_sum) else {
      throw .readBack("the table of pool \(pool.name)")
    }
    try writeName(of: pool)
    FaultPoint.beforeFlip.pass()
    maps.pools.storeWord(pool.tableWord, element: pool.number, byteOffset: 0)
    // After the table: where slots are to remember longer, it says which of them had settled.
    setSelection(of: pool)
    FaultPoint.afterFlip.pass()
  }

  private func writeName(of pool: InstalledState.Pool) throws(DataplaneError) {
    try inKernel { () throws(BPFError) in
      try maps.poolNames.update(UInt32(pool.number), to: identity(pool.name))
    }
  }

  /// How a packet's slot is found, and how long slots remember: one word of the pool's record.
  private func setSelection(of pool: InstalledState.Pool) {
    maps.pools.storeWord(word(of: record(pool), at: 8), element: pool.number, byteOffset: 8)
  }

  func record(_ installed: InstalledState.Pool) -> pool {
    pool(
      table: installed.tableWord, hash: installed.hash == .flow ? .HASH_FLOW : .HASH_SOURCE,
      settle: clock.ticks(seconds: installed.settle))
  }

  /// Writes what time made of slots, each whole and with its current backend unchanged.
  public func rewrite(_ slots: [(index: Int, slot: Slot)], of pool: InstalledState.Pool) {
    for (index, slot) in slots { maps.slotWords.storeWord(slot.word, element: pool.firstSlot + index) }
  }

  private func releasePool(_ number: Int) throws(DataplaneError) {
    maps.pools.storeWord(0, element: number)
    try inKernel { () throws(BPFError) in try maps.poolNames.update(UInt32(number), to: identity("")) }
  }

  // MARK: Services

  /// - Parameter poolBefore: the number of the pool that it moved away from, while that is remembered.
  func record(_ installed: InstalledState.Service, pool: Int, poolBefore: Int? = nil) -> service {
    let affinity = installed.service.affinity
    let binding = UInt64(pool) | UInt64(installed.firstPair) << 32
    return service(
      binding: binding,
      before: poolBefore.map { UInt64($0) | UInt64(installed.move?.pairs.lowerBound ?? 0) << 32 } ?? binding,
      affinity: affinity.mode.abi(moved: poolBefore != nil),
      flags: affinity.onGone == .reset ? UInt32(SERVICE_RESETS) : 0,
      learn: clock.ticks(seconds: affinity.learn), udp_idle: clock.ticks(seconds: affinity.udpIdle),
      tcp_idle: clock.ticks(seconds: affinity.tcpIdle), moved: installed.move?.at.value ?? 0,
      pair_count: UInt32(installed.pairCount), pair_count_before: UInt32(installed.move?.pairs.count ?? 0),
      zero: (0, 0))
  }

  private func add(_ installed: InstalledState.Service, pool: Int) throws(DataplaneError) {
    let number = UInt32(installed.number)
    maps.services[installed.number] = record(installed, pool: pool)
    try inKernel { () throws(BPFError) in
      try maps.serviceNames.update(number, to: identity(installed.service.name))
      FaultPoint.beforeServiceKey.pass()
      let key = installed.service.key
      try maps.setService(key.address, port: key.port, protocolNumber: key.transport.rawValue, to: number)
    }
  }

  private func change(
    _ installed: InstalledState.Service, _ record: service, pairsBefore: Range<Int>
  ) throws(DataplaneError) {
    let index = installed.number
    try inKernel { () throws(BPFError) in
      try maps.serviceNames.update(UInt32(index), to: identity(installed.service.name))
    }
    for (offset, word) in record.stores(over: maps.services[index]) {
      maps.services.storeWord(word, element: index, byteOffset: offset)
      FaultPoint.amongService.pass()
    }
    guard pairsBefore.lowerBound != installed.firstPair else { return }
    // Packets still in flight count where they began; then what was counted there moves along.
    try waitForReaders()
    let counted = try pairTotals(pairsBefore)
    let fresh = try pairTotals(installed.firstPair..<(installed.firstPair + counted.count))
    try setPairs(zip(counted, fresh).enumerated().map { (installed.firstPair + $0, $1.0 + $1.1) })
  }

  private func remove(_ installed: InstalledState.Service) throws(DataplaneError) {
    let key = installed.service.key
    try inKernel { () throws(BPFError) in
      try maps.removeService(key.address, port: key.port, protocolNumber: key.transport.rawValue)
      try maps.serviceNames.update(UInt32(installed.number), to: identity(""))
    }
  }
}

extension InstalledState.Pool {
  /// What names its table: the first slot and their number.
  var tableWord: UInt64 { UInt64(firstSlot) | UInt64(slots.count) << 32 }
}
