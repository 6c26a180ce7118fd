// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// Records of services, and the keys and buckets that lead to them. A record is written in full before a key leads to
/// its id. Afterwards its table changes, by single stores, and nothing else: a service with other terms or another pool
/// gets another id.
extension Forwarder {
  /// The ids of a pool's services.
  func services(ofPool number: Int) throws(DataplaneError) -> Set<Int> {
    try knownServiceIDs().ids(ofPool: number)
  }

  func knownServiceIDs() throws(DataplaneError) -> ServiceIDs {
    if let serviceIDs { return serviceIDs }
    let found = try inKernel { () throws(BPFError) in try ServiceIDs(maps) }
    serviceIDs = found
    return found
  }

  /// - Parameters:
  ///   - pool: the number of its pool.
  ///   - table: the word that names its pool's table.
  ///   - poolBefore: the number of the pool that it moved away from, while that is remembered.
  func record(
    _ installed: InstalledState.Service, pool: Int, table: UInt64, poolBefore: Int? = nil
  ) -> service {
    let affinity = installed.service.affinity
    let binding = UInt64(pool) | UInt64(installed.firstPair) << 32
    return service(
      table: table, binding: binding,
      before: poolBefore.map { UInt64($0) | UInt64(installed.move?.pairs.lowerBound ?? 0) << 32 } ?? binding,
      affinity: affinity.mode.abi(moved: poolBefore != nil),
      flags: affinity.onGone == .reset ? UInt32(SERVICE_RESETS) : 0,
      learn: clock.ticks(seconds: affinity.learn), udp_idle: clock.ticks(seconds: affinity.udpIdle),
      tcp_idle: clock.ticks(seconds: affinity.tcpIdle), moved: installed.move?.at.value ?? 0,
      pair_count: UInt32(installed.pairCount), pair_count_before: UInt32(installed.move?.pairs.count ?? 0),
      zero: 0)
  }

  private func tableInForce(ofPool number: Int) -> UInt64 {
    maps.pools.loadWord(element: number, byteOffset: Self.tableOffset)
  }

  func add(_ installed: InstalledState.Service, pool: Int) throws(DataplaneError) {
    try write(record(installed, pool: pool, table: tableInForce(ofPool: pool)), of: installed, pool: pool)
  }

  func change(
    _ installed: InstalledState.Service, pool: Int, poolBefore: Int?, pairsBefore: Range<Int>
  ) throws(DataplaneError) {
    let record = record(installed, pool: pool, table: tableInForce(ofPool: pool), poolBefore: poolBefore)
    try write(record, of: installed, pool: pool)
    guard pairsBefore.lowerBound != installed.firstPair else { return }
    // Packets still in flight count where they began; then what was counted there moves along.
    try waitForReaders()
    let counted = try maps.pairTotals(pairsBefore)
    let fresh = try maps.pairTotals(installed.firstPair..<(installed.firstPair + counted.count))
    try setPairs(zip(counted, fresh).enumerated().map { (installed.firstPair + $0, $1.0 + $1.1) })
  }

  /// Writes a record under an id that no packet reads, then lets the key lead to it.
  private func write(
    _ record: service, of installed: InstalledState.Service, pool: Int
  ) throws(DataplaneError) {
    let id = try freshID(of: installed.number)
    maps.services[id] = record
    FaultPoint.amongService.pass()
    try inKernel { () throws(BPFError) in
      try maps.serviceNames.update(UInt32(installed.number), to: identity(installed.service.name))
    }
    FaultPoint.beforeServiceKey.pass()
    try lead(installed.service.key, to: id)
    serviceIDs?.assign(id, pool: pool)
  }

  private func freshID(of number: Int) throws(DataplaneError) -> Int {
    if let id = try knownServiceIDs().fresh(of: number) { return id }
    try waitForReaders()
    return try knownServiceIDs().fresh(of: number) ?? 2 * number
  }

  /// Lets a key lead to an id: in the hash map, which a daemon that starts believes, then in the bucket.
  func lead(_ key: VirtualService.Key, to id: Int) throws(DataplaneError) {
    try inKernel { () throws(BPFError) in
      try maps.setService(
        key.address, port: key.port, protocolNumber: key.transport.rawValue, to: UInt32(id))
    }
    FaultPoint.beforeBucket.pass()
    serviceBuckets.set(key, to: id)
  }

  func remove(_ installed: InstalledState.Service) throws(DataplaneError) {
    let key = installed.service.key
    _ = try knownServiceIDs()
    serviceBuckets.remove(key)
    try inKernel { () throws(BPFError) in
      try maps.removeService(key.address, port: key.port, protocolNumber: key.transport.rawValue)
      try maps.serviceNames.update(UInt32(installed.number), to: identity(""))
    }
    serviceIDs?.retire(installed.number)
  }

  /// Gives services that found no place in their buckets the places that the plan's removals have left.
  func fillBuckets(_ plan: Plan) throws(DataplaneError) {
    let removes = plan.steps.contains { if case .removeService = $0 { true } else { false } }
    guard removes else { return }
    let ids = try knownServiceIDs().ids
    for service in plan.result.services.values where serviceBuckets.id(of: service.service.key) == nil {
      if let id = ids[service.number] { serviceBuckets.set(service.service.key, to: id) }
    }
  }
}
