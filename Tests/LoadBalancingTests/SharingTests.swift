// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

/// What stays the same is not derived, written or copied again, and nothing outdated is believed for that.
@Suite struct SharingTests {
  private static func backend(
    _ number: BackendNumber, _ pool: String, pair: Int = 0
  ) -> InstalledState.Backend {
    InstalledState.Backend(
      number: number, pool: pool, name: "b\(number)", address: .v4(10, 0, 0, UInt8(number)),
      encapsulation: Encapsulation(), isUsable: true, pair: pair)
  }

  private static func fresh(_ state: InstalledState) -> BackendIndex {
    InstalledState(backends: state.backends).index
  }

  @Test func `the index of backends follows every change, in copies too`() {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    var states = [InstalledState()]
    for step in 0..<5000 {
      let position = random.pick(states.indices)
      let number = BackendNumber.random(in: 1...12, using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0: states[position].backends[number] = nil
      case 1: states[position].backends[number]?.isLeaving.toggle()
      case 2: states[position].backends[number]?.isDraining.toggle()
      case 3: states[position].backends[number]?.pool = "p\(Int.random(in: 0...3, using: &random))"
      case 4: states[random.pick(states.indices)] = states[position]
      case 5: if states.count < 6 { states.append(states[position]) }
      case 6: _ = states[position].index
      default:
        states[position].backends[number] = Self.backend(
          number, "p\(Int.random(in: 0...3, using: &random))", pair: Int.random(in: 0...9, using: &random))
      }
      for state in states where random.chance(30) {
        guard state.index == Self.fresh(state) else {
          Issue.record("seed \(seed), step \(step)")
          return
        }
      }
      for state in states where state.sharesBackends(with: states[position]) {
        #expect(state.backends == states[position].backends, "seed \(seed), step \(step)")
      }
    }
  }

  @Test func `what an index holds`() {
    var state = InstalledState()
    for number in [3, 1, 2] as [BackendNumber] {
      state.backends[number] = Self.backend(number, number == 2 ? "other" : "web", pair: Int(number) + 10)
    }
    state.backends[1]?.isDraining = true
    state.backends[2]?.isDraining = true
    state.backends[2]?.isLeaving = true
    #expect(state.index.members["web"]?.map(\.number) == [1, 3])
    #expect(state.index.members["web"]?.map(\.pair) == [11, 13])
    #expect(state.index.members["none"] == nil)
    #expect(state.index.draining == [1, 2] && state.index.leaving == [2])
  }

  private static let pool = Pool(
    name: "web",
    backends: (1...3).map { Backend(name: "b\($0)", address: .v4(10, 0, 0, UInt8($0))) }, tableSize: 7)

  private static func plan(from installed: InstalledState, to pool: Pool) throws -> Plan {
    let service = VirtualService(
      key: VirtualService.Key(address: .v4(192, 0, 2, 1), transport: .tcp, port: 80), name: "www", pool: "web"
    )
    return try Planner.plan(
      from: installed, to: DesiredState(services: [service], pools: [pool]),
      limits: NodeSettings.Limits(slots: 100), now: Tick(1))
  }

  @Test func `a plan that changes no backend leaves them as they are stored`() throws {
    let installed = try Self.plan(from: InstalledState(), to: Self.pool).result
    var changed = Self.pool
    changed.backends[0].weight = 50
    let plan = try Self.plan(from: installed, to: changed)
    #expect(!plan.effect.pools.isEmpty)
    #expect(plan.result.sharesBackends(with: installed))
    changed.backends[0].state = .drain
    #expect(!(try Self.plan(from: installed, to: changed)).result.sharesBackends(with: installed))
  }

  @Test func `a decision on health writes only backends that it changes`() {
    func storage(_ state: DesiredState) -> [UInt] {
      state.pools.map { unsafe $0.backends.withUnsafeBytes { UInt(bitPattern: unsafe $0.baseAddress) } }
    }
    var other = Self.pool
    other.name = "other"
    var unchecked = Self.pool
    unchecked.name = "unchecked"
    // As a decision of before left it.
    unchecked.backends[1].isInUse = false
    let desired = DesiredState(pools: [Self.pool, other, unchecked])
    var decision = HealthDecision()
    for name in ["web", "other"] {
      for backend in Self.pool.backends {
        decision.isInUse[BackendKey(pool: name, backend: backend.name)] =
          name == "other" || backend.name != "b2"
      }
    }
    let decided = desired.applying(decision)
    #expect(
      decided.pools.map { $0.backends.map(\.isInUse) } == [
        [true, false, true], [true, true, true], [true, true, true],
      ])
    #expect(zip(storage(desired), storage(decided)).map { $0 == $1 } == [false, true, false])
    #expect(decided.applying(HealthDecision()).pools[0] == Self.pool)
  }
}
