// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

/// What can be an override, and which overrides an installed state shows.
@Suite struct OverrideFaultTests {
  private static let configured = DesiredState(
    services: [
      VirtualService(
        key: .init(address: .v4(192, 0, 2, 1), transport: .tcp, port: 80), name: "www", pool: "web")
    ],
    pools: [
      Pool(
        name: "web",
        backends: (1...5).map { Backend(name: "b\($0)", address: .v4(10, 0, 0, UInt8($0))) }, tableSize: 7)
    ])

  private static func override(
    _ backend: String = "b1", pool: String = "web", presence: BackendOverride.Presence = .asConfigured,
    weight: Weight? = nil, by: String = "root", at: Double = 1, reason: String? = nil
  ) -> BackendOverride {
    BackendOverride(
      pool: pool, backend: backend, presence: presence, weight: weight,
      provenance: Provenance(by: by, at: at, reason: reason))
  }

  @Test func judges() {
    let cases: [(BackendOverride, String?)] = [
      (Self.override(), nil), (Self.override(weight: 0), nil), (Self.override(weight: 65_535), nil),
      (Self.override(pool: "gone"), nil), (Self.override("new", presence: .added(.v4(10, 0, 0, 9))), nil),
      (Self.override(weight: .max), "is not within"), (Self.override(weight: -5), "is not within"),
      (Self.override(weight: 65_536), "is not within"),
      (Self.override(String(repeating: "x", count: 200)), "is not made of"),
      (Self.override("../x"), "is not made of"), (Self.override(pool: "WEB"), "is not made of"),
      (Self.override("new", presence: .added(.v4(192, 0, 2, 1))), "VIP"),
      (Self.override("new", presence: .added(.v4(224, 0, 0, 1))), "unicast"),
      (Self.override("new", presence: .added(.v4(127, 0, 0, 1))), "unicast"),
      (Self.override("new", presence: .added(.v4(255, 255, 255, 255))), "unicast"),
      (Self.override(reason: String(repeating: "x", count: 513)), "more than 512"),
      (Self.override(reason: "a\u{202e}b"), "control character"),
      (Self.override(by: "a\nb"), "control character"),
      (Self.override(at: .infinity), "is no time"),
      (Self.override(at: -.greatestFiniteMagnitude), "is no time"),
      (Self.override(at: .nan), "is no time"),
    ]
    for (override, says) in cases {
      let fault = Self.configured.fault(of: override)
      #expect(says.map { fault?.contains($0) ?? false } ?? (fault == nil), "\(override): \(fault ?? "none")")
    }
  }

  /// b1 takes flows, b2 drains, b3 gets nothing, b4 is down, b5 is not there; x was added.
  @Test func showsWhatIsInstalled() {
    func backend(_ number: BackendNumber, _ name: String, usable: Bool = true, draining: Bool = false)
      -> InstalledState.Backend
    {
      InstalledState.Backend(
        number: number, pool: "web", name: name, address: .v4(10, 0, 0, UInt8(number)),
        encapsulation: Encapsulation(), isUsable: usable, pair: Int(number), isDraining: draining)
    }
    let backends = [
      backend(1, "b1"), backend(2, "b2", draining: true), backend(3, "b3", usable: false),
      backend(4, "b4", usable: false), backend(9, "x"),
    ]
    var installed = InstalledState(
      backends: Dictionary(uniqueKeysWithValues: backends.map { ($0.number, $0) }))
    installed.pools["web"] = InstalledState.Pool(
      number: 0, name: "web", hash: .flow, firstSlot: 0,
      slots: [1, 9, 1, 9, 1, 9, 1].map { Slot(current: $0) })
    func shown(where isMeant: (BackendKey) -> Bool = { _ in true }) -> [String: BackendOverride] {
      let all = installed.overridesShown(
        over: Self.configured, provenance: Provenance(by: "sluiced", at: 0), where: isMeant
      ) { name, _ in name.backend == "b4" }
      return Dictionary(uniqueKeysWithValues: all.map { ($0.backend, $0) })
    }
    let all = shown()
    #expect(Set(all.keys) == ["b2", "b3", "b5", "x"])
    #expect(all["b2"]?.state == .drain && all["b3"]?.state == .maint)
    #expect(all["b5"]?.presence == .removed && all["x"]?.presence == .added(.v4(10, 0, 0, 9)))
    #expect(Set(shown { $0.backend == "b2" }.keys) == ["b2"])
    // What they make of the configuration is what is installed.
    let desired = Self.configured.applying(Array(all.values))
    #expect(Set(desired.pools[0].backends.map(\.name)) == ["b1", "b2", "b3", "b4", "x"])
    // A pool that is not installed shows nothing.
    installed.pools = [:]
    #expect(shown().isEmpty)
  }
}
