// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// Whether the parts fit together.

extension Draft {
  func check() {
    checkSockets()
    checkUnique(pools.lazy.map(\.name), what: "pool")
    checkUnique(services.compactMap(\.name), what: "service")
    for pool in pools where !pool.isFlawless { check(pool) }
    checkEncapsulations()
    checkPoolsExist()
    for service in services { checkLists(of: service) }
    checkBackendsAgainstVIPs()
    checkUse()
    checkChanges()
    checkHealth()
    // What compares all with all waits until there is a bound on how much that is.
    if checkLimits() {
      checkOuterSources()
      checkVirtualServices()
    }
  }

  func tableSize(of pool: PoolDraft) -> Int {
    (pool.tableSize ?? defaults.tableSize)?.value ?? Pool.defaultTableSize
  }

  private func checkSockets() {
    let standard = NodeSettings(interface: NodeSettings.Interface(name: ""), hashSeed: "")
    let control = node.controlSocket?.value ?? standard.controlSocket
    let status = node.statusSocket?.value ?? standard.statusSocket
    guard control == status, let cursor = node.statusSocket?.cursor ?? node.controlSocket?.cursor else {
      return
    }
    cursor.error(.sameSocket, "control and status cannot share the socket \(control)")
  }

  private func checkUnique(_ names: some RandomAccessCollection<Located<String>>, what: String) {
    for (name, first) in repetitions(in: names) {
      name.cursor.error(
        .duplicateName, "\(what) \"\(name.value)\" is defined twice", related: (first.cursor, "first defined")
      )
    }
  }

  private func check(_ pool: PoolDraft) {
    let name = pool.name.value
    checkUnique(pool.backends.compactMap(\.name), what: "backend")
    for (address, first) in repetitions(in: pool.backends.compactMap(\.address)) {
      address.cursor.error(
        .duplicateAddress, "two backends of pool \"\(name)\" have the address \(address.value)",
        related: (first.cursor, "first given"))
    }
    let (count, size) = (pool.backends.count, tableSize(of: pool))
    let location = pool.tableSize?.cursor ?? pool.name.cursor
    if count > size {
      location.error(
        .tableTooSmall, "a table of \(size) slots cannot hold the \(count) backends of pool \"\(name)\"",
        expected: ["at least 100 slots per backend"])
    } else if count * 100 > size {
      location.warning(
        .smallTable,
        "a table of \(size) slots spreads load unevenly over the \(count) backends of pool \"\(name)\": "
          + "100 slots per backend are recommended")
    }
    if count == 0 && pool.backendsAreKnown {
      pool.name.cursor.warning(.emptyPool, "pool \"\(name)\" has no backends: its packets will be dropped")
    } else if count > 0, pool.backends.allSatisfy({ ($0.state ?? .ready) != .ready || $0.weight == 0 }) {
      pool.name.cursor.warning(
        .noReadyBackend,
        "no backend of pool \"\(name)\" takes new flows: all have weight 0, or drain, or are in maint")
    }
  }

  private func checkOuterSources() {
    let drafts = [defaults.encapsulation] + pools.lazy.filter(\.hasSettings).map(\.encapsulation)
    let sources = drafts.flatMap { [$0.source4, $0.source6] }.compactMap { $0 }
    // A single address carries no entropy, and may well be the balancer's own.
    let prefixes = Set(sources.compactMap(\.value.prefix))
    guard !prefixes.isEmpty else { return }
    let vips = lowest(services.lazy.flatMap(\.vips), in: prefixes)
    let backends = lowest(pools.lazy.flatMap(\.backends).compactMap(\.address), in: prefixes)
    for source in sources {
      guard let prefix = source.value.prefix else { continue }
      for (what, lowest) in [("VIP", vips), ("backend", backends)] {
        guard let inside = lowest[prefix] else { continue }
        source.cursor.warning(
          .sourceOverlap, "outer source \(prefix) contains the \(what) \(inside.value)",
          related: (inside.cursor, "it is"))
      }
    }
  }

  /// The lowest address in each prefix, and of equal ones the first.
  private func lowest(
    _ addresses: some Sequence<Located<IPAddress>>, in prefixes: Set<IPPrefix>
  ) -> [IPPrefix: Located<IPAddress>] {
    var lowest: [IPPrefix: Located<IPAddress>] = [:]
    // Few are compared with each address. Many, as where each pool has its own, take sorted addresses.
    if prefixes.count <= 4 {
      for prefix in prefixes {
        for address in addresses where prefix.contains(address.value) {
          if lowest[prefix].map({ address.value < $0.value }) ?? true { lowest[prefix] = address }
        }
      }
    } else {
      let sorted = addresses.sorted { $0.value < $1.value }
      for prefix in prefixes { lowest[prefix] = first(of: sorted, in: prefix) }
    }
    return lowest
  }

  /// - Parameter addresses: sorted.
  private func first(of addresses: [Located<IPAddress>], in prefix: IPPrefix) -> Located<IPAddress>? {
    var (low, high) = (0, addresses.count)
    while low < high {
      let middle = (low + high) / 2
      if addresses[middle].value < prefix.address { low = middle + 1 } else { high = middle }
    }
    guard low < addresses.count, prefix.contains(addresses[low].value) else { return nil }
    return addresses[low]
  }

  private func checkPoolsExist() {
    guard !services.isEmpty, unreadPools == 0 else { return }
    let names = Set(pools.lazy.map(\.name.value))
    let unknown = services.lazy.compactMap(\.pool).filter { !names.contains($0.value) }
    guard !unknown.isEmpty else { return }
    let sorted = names.sorted()
    for pool in unknown {
      pool.cursor.error(
        .unknownPool, "pool \"\(pool.value)\" is not defined", expected: Array(sorted.prefix(8)),
        suggestion: pool.cursor.findings.nearest(to: pool.value, among: sorted))
    }
  }

  private func checkLists(of service: ServiceDraft) {
    for (vip, first) in repetitions(in: service.vips) {
      vip.cursor.error(
        .duplicateAddress, "VIP \(vip.value) is listed twice", related: (first.cursor, "first given"))
    }
    checkPorts(of: service)
  }

  /// Two ranges that overlap are next to each other when ranges are sorted, or a third one covers both.
  private func checkPorts(of service: ServiceDraft) {
    let sorted = service.ports.indices.sorted { left, right in
      let (a, b) = (service.ports[left].value, service.ports[right].value)
      return (a.transport, a.ports.lowerBound, left) < (b.transport, b.ports.lowerBound, right)
    }
    var furthest: Int?
    for index in sorted {
      let range = service.ports[index].value
      guard let other = furthest, service.ports[other].value.transport == range.transport else {
        furthest = index
        continue
      }
      if range.ports.lowerBound <= service.ports[other].value.ports.upperBound {
        let (first, second) = (service.ports[min(index, other)], service.ports[max(index, other)])
        let name = range.ports.lowerBound == 0 ? "any" : "\(range.ports.lowerBound)"
        second.cursor.error(
          .duplicatePort, "port \(name)/\(range.transport.name) is listed twice",
          related: (first.cursor, "first given"))
      }
      if range.ports.upperBound > service.ports[other].value.ports.upperBound { furthest = index }
    }
  }

  private func checkVirtualServices() {
    struct Claim {
      let service: Int
      let cursor: Cursor
    }
    var claims: [VirtualService.Key: Claim] = [:]
    for (index, service) in services.enumerated() {
      for port in service.ports {
        var conflict: (key: VirtualService.Key, claim: Claim)?
        for vip in service.vips {
          for number in port.value.ports {
            let key = VirtualService.Key(address: vip.value, transport: port.value.transport, port: number)
            if let claim = claims[key] {
              if claim.service != index, conflict == nil { conflict = (key, claim) }
            } else {
              claims[key] = Claim(service: index, cursor: port.cursor)
            }
          }
        }
        guard let conflict else { continue }
        let (first, second) = (services[conflict.claim.service].name?.value, service.name?.value)
        port.cursor.error(
          .duplicateService,
          "service \"\(first ?? "")\" and service \"\(second ?? "")\" both claim \(conflict.key)",
          related: (conflict.claim.cursor, "first claimed"))
      }
    }
  }

  private func checkBackendsAgainstVIPs() {
    let vips = services.lazy.flatMap(\.vips)
    let backends = pools.lazy.flatMap(\.backends).compactMap(\.address)
    // There may be 100,000 of either: a set of the fewer takes the least memory.
    let hasFewVIPs =
      services.reduce(0) { $0 + $1.vips.count } < pools.reduce(0) { $0 + $1.backends.count }
    let both: Set<IPAddress>
    if hasFewVIPs {
      let addresses = Set(vips.map(\.value))
      both = Set(backends.map(\.value).filter(addresses.contains))
    } else {
      let addresses = Set(backends.map(\.value))
      both = Set(vips.map(\.value).filter(addresses.contains))
    }
    guard !both.isEmpty else { return }
    let claims = vips.filter { both.contains($0.value) }.map { ($0.value, $0.cursor) }
    let cursors = Dictionary(claims) { first, _ in first }
    for address in backends {
      guard let vip = cursors[address.value] else { continue }
      address.cursor.error(
        .backendIsVIP, "backend address \(address.value) is a VIP: packets would come back for ever",
        related: (vip, "the VIP is"))
    }
  }

  /// The names of the pools that services use.
  var usedPools: Set<String> { Set(services.lazy.compactMap(\.pool?.value)) }

  private func checkUse() {
    let usedPools = usedPools
    for pool in pools where !usedPools.contains(pool.name.value) {
      pool.name.cursor.warning(.unusedPool, "no service uses pool \"\(pool.name.value)\"")
    }
  }
}
