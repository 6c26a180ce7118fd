// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// What was written is read back through the kernel, not through the mapping that wrote it. Tables are read before they
/// come into force; all else when the plan's steps are done.
extension Forwarder {
  /// Throws where what the plan's steps touched is not what its result says.
  func verify(_ plan: Plan) throws(DataplaneError) {
    for step in plan.steps {
      switch step {
      case .writeBackend(let backend):
        try verifyBackend(backend.number, plan.result, pool: plan.result.pools[backend.pool]?.number)
      case .renameBackend(let backend): try verifyBackend(backend.number, plan.result)
      case .setUsable(let number, _), .setDraining(let number, _), .releaseBackend(let number):
        try verifyBackend(number, plan.result)
      case .publishTable(let pool), .setSettle(let pool), .renamePool(let pool):
        try verifyPool(pool.number, plan.result.pools[pool.name])
      case .releasePool(let number): try verifyPool(number, nil)
      case .addService(let service, _), .changeService(let service, _, _), .removeService(let service):
        try verifyService(service, plan.result)
      case .resetPairs, .waitForReaders: continue
      }
    }
  }

  /// What the program returns where it found all slots: `XDP_PASS`.
  private static var xdpPass: UInt32 { 2 }

  /// The sum over a run of slots and their hot slots, as packets find them.
  func sum(ofSlots region: Range<Int>) throws(DataplaneError) -> UInt64 {
    var frame = [UInt8](repeating: 0, count: 64)
    var run = slot_run(first: UInt32(region.lowerBound), count: UInt32(region.count))
    unsafe withUnsafeBytes(of: &run) { unsafe frame.replaceSubrange(0..<$0.count, with: $0) }
    let result = try inKernel { () throws(BPFError) in try sumProgram.testRun(input: frame) }
    guard result.returnValue == Self.xdpPass else { throw .readBack("slots \(region)") }
    return unsafe result.output.withUnsafeBytes { unsafe $0.loadUnaligned(as: UInt64.self) }
  }

  /// - Parameter pool: the number of its pool; nil: whatever the record says, which is for counters alone.
  private func verifyBackend(
    _ number: BackendNumber, _ state: InstalledState, pool: Int? = nil
  ) throws(DataplaneError) {
    let (found, name) = try inKernel { () throws(BPFError) in
      (try maps.backendRecords.lookup(number), try maps.backendNames.lookup(number)?.text)
    }
    guard let wanted = state.backends[number] else {
      if name != "" { throw .readBack("the name of backend \(number)") }
      return
    }
    guard let found else { throw .readBack("backend \(number)") }
    var record = backend(wanted, generation: found.generation, pool: pool ?? Int(found.pool))
    record.next_hop |= found.next_hop & backend.networkBits
    record.path = found.path
    guard octets(of: record) == octets(of: found), name == "\(wanted.pool)/\(wanted.name)" else {
      throw .readBack("backend \(number), \(wanted.pool)/\(wanted.name),")
    }
  }

  private func verifyPool(_ number: Int, _ wanted: InstalledState.Pool?) throws(DataplaneError) {
    let (found, name) = try inKernel { () throws(BPFError) in
      (try maps.poolRecords.lookup(UInt32(number)), try maps.poolNames.lookup(UInt32(number))?.text)
    }
    guard let wanted else {
      if found?.table != 0 || name != "" { throw .readBack("pool \(number)") }
      return
    }
    guard let found, octets(of: found) == octets(of: record(wanted)), name == wanted.name else {
      throw .readBack("the record of pool \(wanted.name)")
    }
    for id in try services(ofPool: number) {
      let service = try inKernel { () throws(BPFError) in try maps.serviceRecords.lookup(UInt32(id)) }
      if service?.table != wanted.tableWord {
        throw .readBack("the table of a service of pool \(wanted.name)")
      }
    }
  }

  private func verifyService(
    _ touched: InstalledState.Service, _ state: InstalledState
  ) throws(DataplaneError) {
    let key = touched.service.key
    let id = try inKernel { () throws(BPFError) in try maps.service(at: key).map { Int($0) } }
    let inBucket = serviceBuckets.id(of: key)
    guard let wanted = state.services[key] else {
      if id != nil || inBucket != nil { throw .readBack("the removal of service \(key)") }
      return
    }
    guard let id, ServiceIDs.number(of: id) == wanted.number, inBucket ?? id == id else {
      throw .readBack("service \(wanted.service.name) \(key)")
    }
    let (found, name) = try inKernel { () throws(BPFError) in
      (
        try maps.serviceRecords.lookup(UInt32(id)),
        try maps.serviceNames.lookup(UInt32(wanted.number))?.text
      )
    }
    let pool = state.pools[wanted.service.pool]
    let record = record(
      wanted, pool: pool?.number ?? 0, table: pool?.tableWord ?? 0,
      poolBefore: wanted.move.flatMap { state.pools[$0.pool]?.number })
    guard let found, octets(of: found) == octets(of: record), name == wanted.service.name
    else { throw .readBack("service \(wanted.service.name) \(key)") }
  }
}
