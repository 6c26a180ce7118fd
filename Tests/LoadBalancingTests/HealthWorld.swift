// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// A board with one pool, and a prober that asks as the board says. Probes pass but those of backends in `failing`.
struct HealthWorld {
  private enum Step {
    case begins
    case ends(begun: Duration)
  }

  struct Answer {
    var begun: Duration
    var ended: Duration
    var passed: Bool
  }

  static let vip = IPAddress.v4(192, 0, 2, 1)
  private(set) var board = HealthBoard()
  var desired: DesiredState
  private(set) var now = Duration.zero
  var failing: Set<String> = []
  /// Where probes fail on the balancer itself.
  var unreachable: Set<String> = []
  /// How long a probe takes that fails; one that passes takes a millisecond.
  var failureTakes = Duration.milliseconds(1)
  /// Where probes get their jitter from; nil: they have none.
  var jitter: RandomSource?
  /// With what was asked of the pool, and the states of its backends.
  private(set) var decisions: [(at: Duration, HealthDecision, Pool, [String: HealthState])] = []
  /// The decisions, by index, that held at a time when no failure was doubted and enough backends were healthy.
  private(set) var settled: Set<Int> = []
  private(set) var configured: [Duration] = []
  private(set) var transitions: [(at: Duration, HealthTransition)] = []
  /// All probes of each backend, in order.
  private(set) var probes: [String: [Answer]] = [:]
  private var schedule: [String: (at: Duration, step: Step)] = [:]

  /// - Parameter known: whether packets may go to the backends that the installed state has; nil: it has all, and they
  ///   may.
  init(_ pool: Pool, known: [String: Bool]? = nil) {
    let service = VirtualService(
      key: VirtualService.Key(address: Self.vip, transport: .tcp, port: 443), name: "www", pool: pool.name)
    desired = DesiredState(services: [service], pools: [pool])
    configure(known: known ?? Dictionary(uniqueKeysWithValues: pool.backends.map { ($0.name, true) }))
  }

  var pool: Pool {
    get { desired.pools[0] }
    set { desired.pools[0] = newValue }
  }
  var health: PoolHealth? { decisions.last?.1.pools[pool.name] }
  /// The backends that the last decision uses.
  var inUse: [String] {
    (decisions.last?.1.isInUse ?? [:]).filter(\.value).map(\.key.backend).sorted()
  }

  func key(_ name: String) -> BackendKey { BackendKey(pool: pool.name, backend: name) }
  func target(_ name: String) -> HealthBoard.Target {
    HealthBoard.Target(backend: key(name), vip: pool.health.check?.via == .direct ? nil : Self.vip)
  }
  func state(_ name: String) -> HealthState { board.state(of: key(name)) }

  /// A change of what the operator wants.
  mutating func change(_ name: String, _ change: (inout Backend) -> Void) {
    change(&pool.backends[pool.backends.firstIndex { $0.name == name }!])
    configure()
  }

  mutating func configure(known: [String: Bool] = [:]) {
    configured.append(now)
    board.configure(desired, at: now) { key, _ in known[key.backend] }
    decide()
    schedule = schedule.filter { name, _ in pool.backend(named: name) != nil }
    for name in pool.backends.map(\.name) where schedule[name] == nil {
      schedule[name] = (board.nextProbe(of: target(name), begun: nil, at: now, random: 0), .begins)
    }
  }

  /// One probe, outside the schedule, and the decision if one is due.
  @discardableResult
  mutating func probe(
    _ name: String, passes: Bool, at begun: Duration, taking time: Duration = .zero
  ) -> HealthTransition? {
    wait(until: begun + time)
    defer { decide() }
    return note(name, passes: passes, begun: begun)
  }

  /// A probe that ends, without a decision.
  @discardableResult
  mutating func note(_ name: String, passes: Bool, begun: Duration) -> HealthTransition? {
    now = max(now, begun)
    let failure =
      unreachable.contains(name)
      ? ProbeOutcome.Failure(.local, "no way to send")
      : passes ? nil : ProbeOutcome.Failure(.port, "connection refused")
    probes[name, default: []].append(Answer(begun: begun, ended: now, passed: passes))
    let outcome = ProbeOutcome(failure: failure, duration: now - begun)
    let wasDoubted = isDoubted
    let transition = board.add(outcome, of: target(name), begun: begun, at: now)
    if wasDoubted { settle() }
    if let transition { transitions.append((now, transition)) }
    return transition
  }

  private mutating func random() -> Double {
    jitter.map { _ in Double.random(in: 0..<1, using: &jitter!) } ?? 0
  }

  private mutating func decide() {
    guard let due = board.nextDecision, due <= now else { return }
    if let decision = board.decide(at: now) {
      let states = pool.backends.map { ($0.name, state($0.name)) }
      decisions.append((now, decision, pool, Dictionary(uniqueKeysWithValues: states)))
    }
    settle()
  }

  private var isDoubted: Bool { board.unjudged.contains(where: \.record.isDoubted) }

  private mutating func settle() {
    let healthy = pool.backends.count { $0.state == .ready && $0.weight > 0 && state($0.name).isHealthy }
    guard !isDoubted, healthy >= max(pool.require.count(of: pool.backends.count), 1) else { return }
    settled.insert(decisions.count - 1)
  }

  /// Asks the board when it wants to be asked, until then.
  mutating func wait(until end: Duration) {
    while let next = board.nextDecision, next <= end {
      now = max(now, next)
      decide()
    }
    now = max(now, end)
  }

  /// All that happens until then: probes begin and end, decisions are made.
  mutating func run(until end: Duration) {
    while let (name, event) = schedule.min(by: { ($0.value.at, $0.key) < ($1.value.at, $1.key) }),
      event.at < end
    {
      wait(until: event.at)
      switch event.step {
      case .begins:
        let time = failing.contains(name) ? failureTakes : .milliseconds(1)
        schedule[name] = (event.at + time, .ends(begun: event.at))
      case .ends(let begun):
        note(name, passes: !failing.contains(name), begun: begun)
        decide()
        schedule[name] = (board.nextProbe(of: target(name), begun: begun, at: now, random: random()), .begins)
      }
    }
    wait(until: end)
  }
}

extension Duration {
  var asSeconds: Double { self / .seconds(1) }
}
