// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// Services and their runs of pair counters.
extension InstalledReader {
  mutating func readServices() throws(DataplaneError) {
    let names = try rawNames(maps.serviceNames, below: ServiceIDs.number(of: maps.services.count))
    for (number, ids) in try readEntries().sorted(by: { $0.key < $1.key }) {
      let key = owner(of: names[number], among: Array(ids.keys))
      for other in ids.keys.sorted() where other != key { doubt("the number of service \(other)") }
      guard let service = service(key, number, ids[key] ?? 0, names[number]) else {
        doubt("the record of service \(names[number] ?? "\(number)") \(key)")
        continue
      }
      reading.state.services[key] = service
    }
  }

  /// The keys that lead to each number, with the ids.
  private mutating func readEntries() throws(DataplaneError) -> [Int: [VirtualService.Key: Int]] {
    let (keys4, keys6) = try inKernel { () throws(BPFError) in
      (try maps.services4.entries(), try maps.services6.entries())
    }
    let entries =
      keys4.map { (ServiceEntry($0.key), Int($0.value)) }
      + keys6.map { (ServiceEntry($0.key), Int($0.value)) }
    var found: [Int: [VirtualService.Key: Int]] = [:]
    for (entry, id) in entries {
      // Marks of VIPs have no transport protocol. What no packet can match belongs to no service.
      guard let transport = TransportProtocol(rawValue: entry.protocolNumber), entry.rest == 0 else {
        continue
      }
      let key = VirtualService.Key(address: entry.address, transport: transport, port: entry.port)
      let number = ServiceIDs.number(of: id)
      guard number > 0, id < maps.services.count else {
        doubt("the number of service \(key)")
        continue
      }
      found[number, default: [:]][key] = id
    }
    return found
  }

  /// Which of the keys that lead to one number is the service's own.
  private func owner(of name: String?, among keys: [VirtualService.Key]) -> VirtualService.Key {
    let sorted = keys.sorted()
    return sorted.first { serviceNames[$0] == name && name != nil } ?? sorted.first {
      serviceNames[$0] != nil
    }
      ?? sorted[0]
  }

  private mutating func service(
    _ key: VirtualService.Key, _ number: Int, _ id: Int, _ name: String?
  ) -> InstalledState.Service? {
    let record = maps.services[id]
    guard let pool = pool(record.binding) else { return nil }
    let affinity = Affinity(
      mode: Affinity.Mode(record.affinity), learn: clock.seconds(ticks: record.learn),
      tcpIdle: clock.seconds(ticks: record.tcp_idle), udpIdle: clock.seconds(ticks: record.udp_idle),
      onGone: record.flags & UInt32(SERVICE_RESETS) != 0 ? .reset : .rehash)
    let pairs = takeRun(record.binding, record.pair_count)
    if pairs == nil { doubt("the counters of service \(name ?? "\(number)") \(key)") }
    let isNamed = name.map { isObjectName($0) } ?? false
    if !isNamed { doubt("the name of service \(key)") }
    return InstalledState.Service(
      number: number,
      service: VirtualService(key: key, name: isNamed ? name ?? "" : "", pool: pool, affinity: affinity),
      // Without a run of its own: the plan gives it one.
      firstPair: pairs?.lowerBound ?? 0, pairCount: pairs?.count ?? 0, move: move(of: record))
  }

  private func pool(_ binding: UInt64) -> String? {
    poolNames[Int(binding & 0xffff_ffff)].flatMap { reading.state.pools[$0] == nil ? nil : $0 }
  }

  private mutating func move(of record: service) -> InstalledState.Service.Move? {
    guard record.affinity == .AFFINITY_MOVED || record.affinity == .AFFINITY_MOVED_ALL,
      let pool = pool(record.before),
      let pairs = record.before == record.binding
        ? run(record.before, record.pair_count_before) : takeRun(record.before, record.pair_count_before)
    else { return nil }
    return InstalledState.Service.Move(pool: pool, pairs: pairs, at: Tick(record.moved))
  }

  /// A run of pair counters that no other service has.
  private mutating func takeRun(_ binding: UInt64, _ count: UInt32) -> Range<Int>? {
    guard let run = run(binding, count), !isPairTaken[run].contains(true) else { return nil }
    for pair in run { isPairTaken[pair] = true }
    return run
  }

  /// nil where it is beyond the pair counters that there are.
  private func run(_ binding: UInt64, _ count: UInt32) -> Range<Int>? {
    let run = Int(binding >> 32)..<(Int(binding >> 32) + Int(count))
    return run.upperBound <= isPairTaken.count ? run : nil
  }
}
