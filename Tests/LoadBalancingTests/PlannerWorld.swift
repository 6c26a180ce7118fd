// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

/// One pool `web` of `b1`, `b2`, … and one service that uses it, on a model of the kernel's maps.
struct PlannerWorld {
  static let slots = 251
  var limits: NodeSettings.Limits
  private(set) var model: KernelModel
  private(set) var installed = InstalledState()
  var desired = DesiredState()
  var time: UInt32 = 1000
  var allowsLostFlows = false

  init(
    backends: Int,
    limits: NodeSettings.Limits = NodeSettings.Limits(
      services: 16, pools: 8, backends: 64, slots: 10 * 251, pairs: 256)
  ) {
    self.limits = limits
    model = KernelModel(limits: limits)
    desired.pools = [Self.pool("web", backends)]
    desired.services = [Self.service(1)]
  }

  static func pool(_ name: String, _ backends: Int) -> Pool {
    Pool(name: name, backends: backends == 0 ? [] : (1...backends).map(backend), tableSize: slots)
  }

  static func backend(_ number: Int) -> Backend {
    Backend(name: "b\(number)", address: .v4(10, 0, 0, UInt8(number)))
  }

  static func service(_ number: UInt8, pool: String = "web") -> VirtualService {
    VirtualService(
      key: VirtualService.Key(address: .v4(192, 0, 2, number), transport: .tcp, port: 443), name: "www",
      pool: pool)
  }

  /// Plans towards what is desired, a second later, and carries it out; every step is checked by the model.
  @discardableResult
  mutating func follow(
    expired: Set<BackendNumber> = [], ended: Set<VirtualService.Key> = []
  ) throws -> Plan {
    time += 1
    let plan = try Planner.plan(
      from: installed, to: desired, limits: limits, now: Tick(time), expired: expired, ended: ended,
      allowsLostFlows: allowsLostFlows)
    model.releasing = plan.releasedBackends
    for step in plan.steps { try model.apply(step, at: Tick(time)) }
    model.markLeaving(as: plan.result)
    #expect(model.installed == plan.result)
    #expect(model.remains == KernelModel.Remains())
    installed = plan.result
    return plan
  }

  /// As ``follow(expired:ended:)`` by a daemon that dies after so many steps; then the maps are read.
  mutating func follow(dyingAfter steps: Int) throws {
    time += 1
    let plan = try Planner.plan(from: installed, to: desired, limits: limits, now: Tick(time))
    for step in plan.steps.prefix(steps) { try model.apply(step, at: Tick(time)) }
    try model.apply(.waitForReaders, at: Tick(time))
    installed = model.installed
  }

  /// Time goes by until every slot is stable.
  mutating func settle() throws {
    time += 10_000
    for _ in 0..<2 {
      installed = model.installed
      for pool in installed.pools.values {
        let rule = installed.settling(of: pool, tickLength: 1)
        for (index, slot) in rule.rewrites(of: pool.slots, at: Tick(time), foreign: []) {
          try model.rewrite(pool.name, index, slot, foreign: [], at: Tick(time))
        }
      }
    }
    installed = model.installed
  }

  /// Changes one backend of the pool `web`.
  mutating func set(_ name: String, _ change: (inout Backend) -> Void) {
    let index = desired.pools[0].backends.firstIndex { $0.name == name }!
    change(&desired.pools[0].backends[index])
  }

  mutating func remove(_ name: String) { desired.pools[0].backends.removeAll { $0.name == name } }

  func number(_ name: String, in pool: String = "web") throws -> BackendNumber {
    try #require(installed.backend(named: name, in: pool)).number
  }

  func slots(_ pool: String = "web") throws -> [Slot] { try #require(installed.pools[pool]).slots }
}

extension Plan {
  var releasedBackends: Set<BackendNumber> {
    Set(
      steps.compactMap { step in
        if case .releaseBackend(let number) = step { number } else { nil }
      })
  }

  /// The kinds of its steps, in their order.
  var kinds: [String] {
    steps.map { step in
      switch step {
      case .renameBackend: "rename"
      case .renamePool: "rename pool"
      case .writeBackend: "write"
      case .resetPairs: "reset"
      case .publishTable: "table"
      case .addService: "add"
      case .changeService: "change"
      case .removeService: "remove"
      case .setUsable(_, let isUsable): isUsable ? "usable" : "unusable"
      case .setDraining(_, let isDraining): isDraining ? "draining" : "not draining"
      case .setSettle: "settle"
      case .waitForReaders: "wait"
      case .releaseBackend: "release"
      case .releasePool: "releasePool"
      }
    }
  }
}
