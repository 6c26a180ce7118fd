// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

// Checks of the times and numbers that apply when a pool or a service changes.

extension Draft {
  func checkChanges() {
    for pool in pools where !pool.isFlawless {
      checkDrain(of: pool)
      checkRequirement(of: pool)
    }
    let used = usedPools
    let byName = Dictionary(pools.lazy.filter { used.contains($0.name.value) }.map { ($0.name.value, $0) }) {
      first, _ in first
    }
    for service in services {
      guard let pool = service.pool.flatMap({ byName[$0.value] }) else { continue }
      check(service.affinity.learn ?? defaults.affinity.learn, "learn", against: pool)
      check(service.affinity.udpIdle ?? defaults.affinity.udpIdle, "udp_idle", against: pool)
    }
  }

  func settle(of pool: PoolDraft) -> Int { (pool.settle ?? defaults.settle)?.value ?? Pool.defaultSettle }

  func drain(of pool: PoolDraft) -> Drain {
    var drain = Drain()
    if let timeout = pool.drain.timeout ?? defaults.drain.timeout { drain.timeout = timeout.value }
    if let quiet = pool.drain.quiet ?? defaults.drain.quiet { drain.quiet = quiet.value }
    return drain
  }

  /// A window of a service that opens when a slot changes cannot be open for longer than the slot counts as changed.
  private func check(_ window: Located<Int>?, _ key: String, against pool: PoolDraft) {
    let settle = settle(of: pool)
    guard let window, window.value > settle else { return }
    window.cursor.error(
      .longerThanSettle,
      "\(key) \(durationText(window.value)) is longer than settle \(durationText(settle)) "
        + "of pool \"\(pool.name.value)\"",
      expected: [
        "\(key) of up to \(durationText(settle))", "settle of at least \(durationText(window.value))",
      ],
      related: (pool.settle ?? defaults.settle).map { ($0.cursor, "settle is set") })
  }

  private func checkDrain(of pool: PoolDraft) {
    let drain = drain(of: pool)
    let (timeout, quiet) = (
      pool.drain.timeout ?? defaults.drain.timeout, pool.drain.quiet ?? defaults.drain.quiet
    )
    guard drain.quiet > drain.timeout, let location = quiet ?? timeout else { return }
    location.cursor.error(
      .longerThanTimeout,
      "drain.quiet \(durationText(drain.quiet)) is longer than drain.timeout \(durationText(drain.timeout)): "
        + "no drain of pool \"\(pool.name.value)\" could end in time",
      expected: [
        "quiet of up to \(durationText(drain.timeout))", "timeout of at least \(durationText(drain.quiet))",
      ],
      related: quiet == nil ? nil : timeout.map { ($0.cursor, "the timeout is set") })
  }

  private func checkRequirement(of pool: PoolDraft) {
    guard let require = pool.require ?? defaults.require, pool.backendsAreKnown, !pool.backends.isEmpty else {
      return
    }
    // Another warning reports a pool of which no backend is ready.
    let ready = pool.backends.count { ($0.state ?? .ready) == .ready && $0.weight != 0 }
    let needed = require.value.count(of: pool.backends.count)
    guard (1..<max(needed, 1)).contains(ready) else { return }
    require.cursor.warning(
      .requireUnmet,
      "pool \"\(pool.name.value)\" requires \(needed) backends that take new flows, and has \(ready): "
        + "each drain will need --force", related: (pool.name.cursor, "the pool is"))
  }
}
