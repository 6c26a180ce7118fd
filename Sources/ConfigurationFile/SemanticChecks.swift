// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// What no single value can tell: whether the parts fit together.

extension Draft {
  func check() {
    checkSockets()
    checkUnique(pools.map(\.name), what: "pool")
    checkUnique(services.compactMap(\.name), what: "service")
    for pool in pools { check(pool) }
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

  private func checkUnique(_ names: [Placed<String>], what: String) {
    var first: [String: Cursor] = [:]
    for name in names {
      if let other = first[name.value] {
        name.cursor.error(
          .duplicateName, "\(what) \"\(name.value)\" is defined twice", related: (other, "first defined"))
      } else {
        first[name.value] = name.cursor
      }
    }
  }

  private func check(_ pool: PoolDraft) {
    let name = pool.name.value
    checkUnique(pool.backends.compactMap(\.name), what: "backend")
    var addresses: [IPAddress: Cursor] = [:]
    for address in pool.backends.compactMap(\.address) {
      if let other = addresses[address.value] {
        address.cursor.error(
          .duplicateAddress, "two backends of pool \"\(name)\" have the address \(address.value)",
          related: (other, "first given"))
      } else {
        addresses[address.value] = address.cursor
      }
    }
    let (count, size) = (pool.backends.count, tableSize(of: pool))
    let place = pool.tableSize?.cursor ?? pool.name.cursor
    if count > size {
      place.error(
        .tableTooSmall, "a table of \(size) slots cannot hold the \(count) backends of pool \"\(name)\"",
        expected: ["at least 100 slots per backend"])
    } else if count * 100 > size {
      place.warning(
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
    let drafts = [defaults.encapsulation] + pools.map(\.encapsulation)
    let vips = services.flatMap(\.vips)
    let backends = pools.flatMap(\.backends).compactMap(\.address)
    for source in drafts.flatMap({ [$0.source4, $0.source6] }).compactMap({ $0 }) {
      // A single address carries no entropy, and may well be the balancer's own.
      guard let prefix = source.value.prefix else { continue }
      for (what, addresses) in [("VIP", vips), ("backend", backends)] {
        guard let inside = addresses.first(where: { prefix.contains($0.value) }) else { continue }
        source.cursor.warning(
          .sourceOverlap, "outer source \(prefix) contains the \(what) \(inside.value)",
          related: (inside.cursor, "it is"))
      }
    }
  }

  private func checkPoolsExist() {
    let names = Set(pools.map(\.name.value))
    let sorted = names.sorted()
    var suggestions = 0
    for case let pool? in services.map(\.pool) where !names.contains(pool.value) {
      // Whoever makes a hundred such mistakes made one of another kind.
      suggestions += 1
      pool.cursor.error(
        .unknownPool, "pool \"\(pool.value)\" is not defined", expected: Array(sorted.prefix(8)),
        suggestion: suggestions <= 100 ? nearestMatch(to: pool.value, among: sorted) : nil)
    }
  }

  private func checkLists(of service: ServiceDraft) {
    var vips: [IPAddress: Cursor] = [:]
    for vip in service.vips {
      if let other = vips[vip.value] {
        vip.cursor.error(
          .duplicateAddress, "VIP \(vip.value) is listed twice", related: (other, "first given"))
      } else {
        vips[vip.value] = vip.cursor
      }
    }
    struct Port: Hashable {
      let transport: TransportProtocol
      let number: UInt16
    }
    var ports: [Port: Cursor] = [:]
    for range in service.ports {
      for number in range.value.ports {
        let port = Port(transport: range.value.transport, number: number)
        if let other = ports[port] {
          let name = number == 0 ? "any" : "\(number)"
          range.cursor.error(
            .duplicatePort, "port \(name)/\(port.transport.name) is listed twice",
            related: (other, "first given"))
          break
        }
        ports[port] = range.cursor
      }
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
    var vips: [IPAddress: Cursor] = [:]
    for vip in services.flatMap(\.vips) where vips[vip.value] == nil { vips[vip.value] = vip.cursor }
    for address in pools.flatMap(\.backends).compactMap(\.address) {
      guard let vip = vips[address.value] else { continue }
      address.cursor.error(
        .backendIsVIP, "backend address \(address.value) is a VIP: packets would come back for ever",
        related: (vip, "the VIP is"))
    }
  }

  private func checkUse() {
    let used = Set(services.compactMap(\.pool?.value))
    for pool in pools where !used.contains(pool.name.value) {
      pool.name.cursor.warning(.unusedPool, "no service uses pool \"\(pool.name.value)\"")
    }
  }
}
