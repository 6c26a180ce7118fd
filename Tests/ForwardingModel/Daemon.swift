// SPDX-License-Identifier: Apache-2.0

/// What the daemon does to the tables.
extension ForwardingModel {
  /// Publishes a table of a pool.
  public mutating func publish(_ owners: [Int], pool: Int) {
    for (index, owner) in owners.enumerated() where owner != pools[pool].slots[index].current {
      let slot = pools[pool].slots[index]
      if state(of: slot, settle: pools[pool].settle) != .changed {
        pools[pool].slots[index].previous = slot.current
        pools[pool].slots[index].since = now
        pools[pool].slots[index].state = .changed
      }
      pools[pool].slots[index].current = owner
    }
  }

  /// Gives a backend's number to another backend.
  public mutating func recycle(_ backend: Int) {
    backends[backend] = ModelBackend(
      generation: backends[backend].generation + 1, pool: backends[backend].pool)
  }

  /// Writes down which slots have settled by themselves.
  public mutating func markSettled() {
    for pool in pools.indices {
      for place in pools[pool].slots.indices {
        pools[pool].slots[place].state = state(of: pools[pool].slots[place], settle: pools[pool].settle)
      }
    }
  }

  public mutating func move(_ service: Int, to pool: Int) {
    services[service].move = Move(from: services[service].pool, at: now)
    services[service].pool = pool
  }

  /// Clears dead entries, and makes settled slots stable that nobody needs to remember.
  /// - Parameter home: of an entry's flow, its service and itself.
  public mutating func sweep(_ home: (Int) -> (service: Int, flow: ModelFlow)) {
    markSettled()
    let isNeedy = entries.count + clients.count > capacity / 2
    var foreign = pools.map { _ in Set<Int>() }
    var present = Set<ModelClient>()
    for (number, entry) in entries {
      let (service, flow) = home(number)
      let isToldOfGone = services[service].resets && flow.transport == .tcp
      guard isLive(entry, flow.transport, services[service]), hasItsBackend(entry) || isToldOfGone,
        !(isNeedy && entry.marks.contains(.once))
      else {
        entries[number] = nil
        continue
      }
      let pool = services[service].pool
      let place = flow.places[pool]
      if hasItsBackend(entry), entry.marks.isDisjoint(with: [.closing, .synOnly]) {
        present.insert(ModelClient(pool: pool, client: flow.client))
      }
      if !hasItsBackend(entry) || pools[pool].slots[place].current != entry.backend {
        foreign[pool].insert(place)
      }
    }
    clients = clients.filter { key, _ in present.contains(key) }
    for pool in pools.indices {
      for place in pools[pool].slots.indices where pools[pool].slots[place].state == .settling {
        if !foreign[pool].contains(place) { pools[pool].slots[place].state = .stable }
      }
    }
  }
}
