// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Runtime overrides")
struct OverridesTests {
  private let configured = DesiredState(pools: [
    Pool(
      name: "web",
      backends: [
        Backend(name: "b1", address: .v4(10, 0, 0, 1)),
        Backend(name: "b2", address: .v4(10, 0, 0, 2), weight: 50),
      ]), Pool(name: "dns", backends: [Backend(name: "b1", address: .v4(10, 0, 1, 1))]),
  ])

  private func override(
    _ backend: String, pool: String = "web", _ presence: BackendOverride.Presence = .asConfigured,
    state: AdministrativeState? = nil, weight: Weight? = nil
  ) -> BackendOverride {
    BackendOverride(
      pool: pool, backend: backend, presence: presence, state: state, weight: weight,
      provenance: Provenance(by: "test", at: 0))
  }

  @Test("State and weight are each overridden alone, in the pool that is meant")
  func stateAndWeight() throws {
    let state = configured.applying([override("b1", state: .drain), override("b2", weight: 7)])
    #expect(
      state.pool(named: "web")?.backend(named: "b1")
        == Backend(name: "b1", address: .v4(10, 0, 0, 1), state: .drain))
    #expect(state.pool(named: "web")?.backend(named: "b2")?.weight == 7)
    #expect(state.pool(named: "dns") == configured.pool(named: "dns"))
  }

  @Test("Adding and removing")
  func presence() throws {
    let state = configured.applying([
      override("b3", .added(.v4(10, 0, 0, 3)), state: .drain), override("b1", .removed),
    ])
    let web = try #require(state.pool(named: "web"))
    #expect(web.backends.map(\.name) == ["b2", "b3"])
    #expect(
      web.backend(named: "b3") == Backend(name: "b3", address: .v4(10, 0, 0, 3), weight: 100, state: .drain))
    #expect(state.pool(named: "dns")?.backends.count == 1)
  }

  @Test("Later ones are applied to what earlier ones left")
  func sequence() {
    let state = configured.applying([
      override("b1", .removed), override("b1", .added(.v4(10, 0, 0, 9)), weight: 1),
      override("b1", state: .maint),
    ])
    #expect(
      state.pool(named: "web")?.backend(named: "b1")
        == Backend(name: "b1", address: .v4(10, 0, 0, 9), weight: 1, state: .maint))
  }

  @Test("What is not there is not touched")
  func unmatched() {
    let overrides = [
      override("b1", pool: "nowhere", state: .maint), override("b9", state: .maint), override("b9", .removed),
    ]
    #expect(configured.applying(overrides) == configured)
    #expect(configured.applying([]) == configured)
  }

  @Test("Redundant is what the configuration says already")
  func redundant() {
    func isRedundant(_ override: BackendOverride) -> Bool { override.isRedundant(in: configured) }
    #expect(isRedundant(override("b1")))
    #expect(isRedundant(override("b1", state: .ready, weight: 100)))
    #expect(isRedundant(override("b2", weight: 50)))
    #expect(isRedundant(override("b9", .removed)))
    #expect(isRedundant(override("b1", .added(.v4(10, 0, 0, 1)))))
    #expect(!isRedundant(override("b1", state: .drain)))
    #expect(!isRedundant(override("b1", state: .ready, weight: 99)))
    #expect(!isRedundant(override("b1", .removed)))
    #expect(!isRedundant(override("b3", .added(.v4(10, 0, 0, 3)))))
    #expect(!isRedundant(override("b1", .added(.v4(10, 0, 0, 3)))))
    #expect(!isRedundant(override("b1", .added(.v4(10, 0, 0, 1)), state: .drain)))
    // It waits for a backend of this name.
    #expect(!isRedundant(override("b9", state: .drain)))
  }

  @Test("A redundant override changes nothing")
  func redundantChangesNothing() {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    for _ in 0..<500 {
      let override = override(
        random.pick(["b1", "b2", "b3"]), pool: random.pick(["web", "dns", "nowhere"]),
        random.pick([.asConfigured, .removed, .added(.v4(10, 0, 0, 1)), .added(.v4(10, 0, 1, 1))]),
        state: random.pick([nil, .ready, .drain]), weight: random.pick([nil, 50, 100]))
      if override.isRedundant(in: configured) {
        #expect(configured.applying([override]) == configured, "\(override), seed \(seed)")
      }
    }
  }
}
