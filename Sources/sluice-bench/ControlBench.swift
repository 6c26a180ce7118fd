// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Dataplane
import Foundation
import LoadBalancing

/// What it costs the daemon to bring a large configuration into the kernel, and to change one pool of it.
struct ControlBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "control", abstract: "Milliseconds for a plan and its way into the kernel.",
    discussion: "Pools with a service each. Attaches to nothing.")

  @Option(help: "Pools.") var pools = 1000
  @Option(help: "Backends of a pool.") var backends = 100
  @Option(help: "Slots of a table, a prime.") var slots = 16_381
  @Option(help: "Changes of one pool that are measured.") var changes = 9

  func run() throws {
    let pins = "/sys/fs/bpf/sl-bench-\(getpid())"
    defer { unsafe _ = rmdir(pins) }
    let limits = NodeSettings.Limits(
      services: pools, pools: pools, backends: pools * backends + changes, slots: (pools + 1) * slots,
      flows: 65_536, pairs: pools * 128)
    let forwarder = try Forwarder(
      NodeSettings(
        interface: NodeSettings.Interface(name: "none"), limits: limits,
        hashSeed: "the bench's seed, no secret", pinDirectory: pins), isFullSpeed: true)
    var state = desired()
    let ways = Dictionary(
      uniqueKeysWithValues: Set(state.pools.flatMap { $0.backends.map(\.address) }).map {
        ($0, NextHopState(mac: Installation.mac, mtu: 1600))
      })

    var installed = InstalledState()
    try measure("cold", forwarder, limits, &installed, nil, state, ways)
    for change in 1...changes {
      let before = state
      state.pools[change % pools].backends[0].weight = 100 - change
      try measure("one pool changes", forwarder, limits, &installed, before, state, ways)
    }
    try measure("nothing known before", forwarder, limits, &installed, nil, state, ways)
    let read = try Self.milliseconds { installed = try forwarder.readInstalled() }
    print(String(format: "read back: %.1f ms", read))
  }

  private func measure(
    _ name: String, _ forwarder: Forwarder, _ limits: NodeSettings.Limits, _ installed: inout InstalledState,
    _ fulfilled: DesiredState?, _ desired: DesiredState, _ ways: [IPAddress: NextHopState]
  ) throws {
    var plan: Plan?
    let planning = try Self.milliseconds {
      plan = try Planner.plan(
        from: installed, to: desired, limits: limits, now: try forwarder.now(),
        tickLength: forwarder.tickLength, fulfilled: fulfilled)
    }
    guard let plan else { return }
    let applying = try Self.milliseconds { try forwarder.apply(plan, nextHops: ways) }
    installed = plan.result
    print(
      "\(name): " + String(format: "plan %.1f ms, apply %.1f ms", planning, applying)
        + ", \(plan.steps.count) steps")
  }

  private static func milliseconds(_ work: () throws -> Void) throws -> Double {
    let start = ContinuousClock.now
    try work()
    let (seconds, attoseconds) = (ContinuousClock.now - start).components
    return Double(seconds) * 1000 + Double(attoseconds) / 1e15
  }

  private func desired() -> DesiredState {
    var state = DesiredState()
    for pool in 0..<pools {
      let members = (0..<backends).map { number in
        Backend(name: "b\(number)", address: .v4(10, UInt8(pool >> 8), UInt8(pool & 255), UInt8(number + 1)))
      }
      state.pools.append(Pool(name: "p\(pool)", backends: members, tableSize: slots))
      let vip = IPAddress.v4(10, 200, UInt8(pool >> 8), UInt8(pool & 255))
      state.services.append(
        VirtualService(
          key: VirtualService.Key(address: vip, transport: .tcp, port: 80), name: "s\(pool)",
          pool: "p\(pool)"))
    }
    return state
  }
}
