// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// What services and backends were sent, as counters that never go down while the daemon runs.
///
/// The kernel counts for each pair of a service and a backend. When a pair ends, its count disappears, and the sum over
/// the pairs falls. Prometheus takes a fall for a restart of the counter and adds the whole sum again. So only what pairs
/// gain is added up here.
struct ForwardedTotals {
  struct Pair: Hashable {
    var service: VirtualService.Key
    var backend: BackendNumber
  }

  /// Since the daemon started.
  private(set) var services: [VirtualService.Key: Counter] = [:]
  private(set) var backends: [BackendNumber: Counter] = [:]
  /// What the kernel had counted at the first look.
  private var servicesBefore: [VirtualService.Key: Counter] = [:]
  private var backendsBefore: [BackendNumber: Counter] = [:]
  /// What pairs read as at the last look; nil: there was none.
  private var seen: [Pair: Counter]?

  /// What the kernel has counted for a service, with what pairs that ended under this daemon had counted.
  func total(of service: VirtualService.Key) -> Counter {
    (servicesBefore[service] ?? Counter()) + (services[service] ?? Counter())
  }

  /// The same for a backend.
  func total(of backend: BackendNumber) -> Counter {
    (backendsBefore[backend] ?? Counter()) + (backends[backend] ?? Counter())
  }

  /// Takes in a reading.
  /// - Parameters:
  ///   - installed: what the counters were read of.
  ///   - part: which of the counters count.
  mutating func note(
    _ runs: [ForwardedRun], _ installed: InstalledState, _ part: ForwardedPart = .all
  ) {
    var pairs: [Pair: Counter] = [:]
    var counted: [VirtualService.Key: Counter] = [:]
    let members = installed.index.members
    for run in runs {
      let total = run.counters.reduce(Counter(), +)
      counted[run.service] = (counted[run.service] ?? Counter()) + total
      // Of most services nothing was counted while there is little traffic, and there may be many backends.
      guard total != Counter() else { continue }
      for member in members[run.pool] ?? [] {
        guard let counter = run[pair: member.pair], counter != Counter() else { continue }
        let pair = Pair(service: run.service, backend: member.number)
        guard part.contains(pair) else { continue }
        pairs[pair] = (pairs[pair] ?? Counter()) + counter
      }
    }
    note(pairs, of: counted, isWhole: part.isWhole)
  }

  /// Takes in what pairs read as now. What they read as at the first look was counted before the daemon started.
  /// - Parameters:
  ///   - counted: what the kernel has counted for each service, also for backends that are gone.
  ///   - isWhole: whether these are all pairs that were sent anything; else the others are as they were.
  mutating func note(
    _ pairs: [Pair: Counter], of counted: [VirtualService.Key: Counter] = [:], isWhole: Bool = true
  ) {
    defer {
      if isWhole { seen = pairs } else { seen?.merge(pairs) { $1 } }
    }
    guard let seen else {
      guard isWhole else { return }
      servicesBefore = counted
      for (pair, now) in pairs {
        backendsBefore[pair.backend] = (backendsBefore[pair.backend] ?? Counter()) + now
      }
      return
    }
    for (pair, now) in pairs {
      let before = seen[pair] ?? Counter()
      // A pair that fell lost its older half, or began anew, and how far it had come by then nobody knows.
      guard now.packets >= before.packets, now.bytes >= before.bytes else { continue }
      let gain = now - before
      services[pair.service] = (services[pair.service] ?? Counter()) + gain
      backends[pair.backend] = (backends[pair.backend] ?? Counter()) + gain
    }
  }

  /// Forgets what is not installed any more; its number, or its key, may be another's next.
  mutating func keep(_ installed: InstalledState) {
    services = services.filter { installed.services[$0.key] != nil }
    backends = backends.filter { installed.backends[$0.key] != nil }
    servicesBefore = servicesBefore.filter { installed.services[$0.key] != nil }
    backendsBefore = backendsBefore.filter { installed.backends[$0.key] != nil }
    seen = seen?.filter {
      installed.services[$0.key.service] != nil && installed.backends[$0.key.backend] != nil
    }
  }
}
