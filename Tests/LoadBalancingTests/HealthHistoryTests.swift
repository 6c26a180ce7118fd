// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

/// Random pools, faults and operators; what must hold whatever happens.
@Suite("Health, random histories")
struct HealthHistoryTests {
  @Test(
    "300 histories: floors hold, the guard is not exceeded, no promise is broken", .timeLimit(.minutes(10)))
  func histories() {
    let seed = freshSeed()
    var decisions = 0
    for number in 0..<300 as Range<UInt64> {
      var history = HealthHistory(seed: seed &+ number)
      let mistakes = history.run()
      decisions += history.world.decisions.count
      if let first = mistakes.first {
        Issue.record("seed \(seed &+ number): \(first), and \(mistakes.count - 1) more")
        return
      }
    }
    print("300 histories, \(decisions) decisions")
    #expect(decisions > 3000)
  }
}

struct HealthHistory {
  private(set) var world: HealthWorld
  private var random: RandomSource
  private var addresses: UInt8 = 0

  init(seed: UInt64) {
    var random = RandomSource(seed: seed)
    let interval = Duration.milliseconds(Int.random(in: 5...30, using: &random) * 100)
    let check = HealthCheck(
      kind: .tcp, interval: interval, timeout: .milliseconds(Int.random(in: 1...20, using: &random) * 100),
      rise: Int.random(in: 1...3, using: &random), fall: Int.random(in: 1...4, using: &random),
      fastInterval: random.chance(50) ? interval / 4 : nil, jitter: random.chance(50) ? 0.3 : 0,
      damping: Damping(
        hold: random.chance(50) ? .seconds(2) : .zero, limit: .seconds(8), memory: .seconds(20)))
    let pool = Pool.checked(
      "web", Int.random(in: 1...9, using: &random), check,
      require: .backends(Int.random(in: 0...4, using: &random)),
      hysteresis: Int.random(in: 0...2, using: &random),
      onInsufficient: random.pick(InsufficientPolicy.allCases),
      guard: HealthGuard(
        share: random.pick([1, 25, 50, 75, 100]), interval: .seconds(Int.random(in: 0...20, using: &random))))
    let known = pool.backends.filter { _ in random.chance(80) }.map { ($0.name, random.chance(80)) }
    world = HealthWorld(pool, known: Dictionary(uniqueKeysWithValues: known))
    world.jitter = random
    self.random = random
  }

  /// A minute, and what went wrong in it.
  mutating func run() -> [String] {
    var time = Duration.zero
    while time < .seconds(60) {
      time += .milliseconds(Int.random(in: 1...3000, using: &random))
      world.run(until: time)
      mutate()
    }
    return world.incomplete + world.brokenFloors + world.exceededGuards + world.brokenPromises
      + world.lateRecoveries
  }

  private mutating func mutate() {
    let names = world.pool.backends.map(\.name)
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<50: world.failing.formSymmetricDifference([random.pick(names)])
    case 50..<60: world.failing = Set(names.filter { _ in random.chance(50) })
    case 60..<70: world.failing = Set(names)
    case 70..<85: world.failing = []
    case 85..<90: world.change(random.pick(names)) { $0.state = random.pick(AdministrativeState.allCases) }
    case 90: remove(random.pick(names))
    case 91: add("b\(Int.random(in: 1...9, using: &random))")
    case 92: world.change(random.pick(names)) { $0.weight = $0.weight == 0 ? 100 : 0 }
    case 93..<95:
      let address = nextAddress()
      world.change(random.pick(names)) { $0.address = address }
    default:
      guard let timeout = world.pool.health.check?.timeout else { return }
      world.failureTakes = random.chance(50) ? timeout : .milliseconds(1)
    }
  }
}

extension HealthHistory {
  private mutating func remove(_ name: String) {
    guard world.pool.backends.count > 1 else { return }
    world.pool.backends.removeAll { $0.name == name }
    world.configure()
  }

  private mutating func add(_ name: String) {
    guard world.pool.backend(named: name) == nil else { return }
    world.pool.backends.append(Backend(name: name, address: nextAddress()))
    world.configure()
  }

  /// An address that no backend has had: what is known of an address goes with it to another backend.
  private mutating func nextAddress() -> IPAddress {
    addresses += 1
    return .v4(10, 1, 1, addresses)
  }
}

extension HealthWorld {
  /// Decisions that leave a backend out, or name one that is not there.
  fileprivate var incomplete: [String] {
    decisions.compactMap { at, decision, pool, _ in
      Set(decision.isInUse.keys.map(\.backend)) == Set(pool.backends.map(\.name))
        ? nil : "incomplete at \(at)"
    }
  }

  /// Decisions in which not those are in use whom health and policy ask for, and the guard holds.
  fileprivate var brokenFloors: [String] {
    var wasSufficient = true
    var kept: [String: IPAddress]?
    return decisions.enumerated().flatMap { number, element -> [String] in
      let (at, decision, pool, states) = element
      var mistakes: [String] = []
      // Nothing is decided before the first verdicts.
      guard !decision.awaited.contains(pool.name), let health = decision.pools[pool.name] else {
        return [String]()
      }
      let inUse = Set(decision.isInUse.filter(\.value).map(\.key.backend))
      let counted = pool.backends.filter { $0.state == .ready && $0.weight > 0 }
      let healthy = counted.count { states[$0.name]!.isHealthy }
      let required = max(pool.require.count(of: pool.backends.count), 1)
      let toReturn = max(required, min(required + pool.health.hysteresis, counted.count))
      if health.isSufficient != (healthy >= (wasSufficient ? required : toReturn))
        || health.healthy != healthy
      {
        mistakes.append("\(healthy) of \(required) at \(at): \(health)")
      }
      let policy = health.isSufficient ? nil : pool.health.onInsufficient
      for backend in pool.backends {
        let isHealthy = states[backend.name]!.isHealthy
        let isKept = kept.map { $0[backend.name] == backend.address } ?? true
        let isWanted =
          isHealthy || backend.state == .ready && (policy == .all || policy == .keep && isKept)
        let isHeld = health.heldByGuard.contains(backend.name)
        if inUse.contains(backend.name) != (isWanted || isHeld) || isWanted && isHeld {
          mistakes.append("\(backend.name) at \(at), healthy \(isHealthy), held \(isHeld): \(health)")
        }
      }
      if health.isSufficient, settled.contains(number) {
        let names = pool.backends.filter { inUse.contains($0.name) }.map { ($0.name, $0.address) }
        kept = Dictionary(uniqueKeysWithValues: names)
      }
      wasSufficient = health.isSufficient
      return mistakes
    }
  }

  /// Pairs of instants less than the guard's interval apart of which the later one has lost more backends than the
  /// guard allows.
  fileprivate var exceededGuards: [String] {
    struct Moment {
      var at: Duration
      var inUse: Set<String>
      var counted: Set<String>
    }
    let moments = decisions.map { at, decision, pool, _ in
      // A backend that has another address is another.
      let names = Dictionary(
        uniqueKeysWithValues: pool.backends.map { ($0.name, "\($0.name) \($0.address)") })
      let counted = pool.backends.filter { $0.state == .ready && $0.weight > 0 }.map { names[$0.name]! }
      let inUse = decision.isInUse.filter(\.value).compactMap { names[$0.key.backend] }
      return Moment(at: at, inUse: Set(inUse), counted: Set(counted))
    }
    var mistakes: [String] = []
    for (later, moment) in moments.enumerated() {
      var counted = moment.counted
      var most = allowance(moment.counted.count)
      for earlier in moments[..<later].indices.reversed() {
        // What the earlier one says was so until the next.
        guard moment.at - moments[earlier + 1].at < pool.health.guard.interval else { break }
        counted.formIntersection(moments[earlier].counted)
        most = max(most, allowance(moments[earlier].counted.count))
        let lost = moments[earlier].inUse.intersection(counted).subtracting(moment.inUse)
        if lost.count > most { mistakes.append("\(lost.count) lost of \(most) at \(moment.at)") }
      }
    }
    return mistakes
  }

  private func allowance(_ counted: Int) -> Int { (counted * pool.health.guard.share + 99) / 100 }

  /// Backends that were up for 100 ms and not in use. (One may have been replaced in between.)
  fileprivate var lateRecoveries: [String] {
    transitions.compactMap { at, transition in
      guard transition.to == .up, !transition.from.isHealthy else { return nil }
      let end = at + .milliseconds(100)
      let wentDown = transitions.contains {
        $0.1.backend == transition.backend && $0.1.to == .down && $0.at > at && $0.at <= end
      }
      let isNew = configured.contains { $0 >= at && $0 <= end }
      guard now >= end, !wentDown, !isNew, let after = decisions.last(where: { $0.at <= end }),
        !after.1.awaited.contains(after.2.name)
      else { return nil }
      return after.1.isInUse[transition.backend] == false ? "\(transition.backend) up at \(at)" : nil
    }
  }
}
