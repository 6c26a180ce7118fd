// SPDX-License-Identifier: Apache-2.0
import BPF
import Dataplane
import LoadBalancing

/// What is installed while the bench runs: 100 services of the measured family on 100 pools of 100 backends, each pool
/// with a table of its own, and one service of the other family on such a pool.
enum Installation {
  static let services = 100
  static let backends = 100
  static let mac = HardwareAddress(bits: 0x02_00_00_00_00_01)
  static let nextHop = HardwareAddress(bits: 0x02_00_00_00_00_02)
  static let port: UInt16 = 80

  /// How a forwarder under test differs from the plainest one.
  struct Variation {
    var isIPv6 = false
    var mode = Affinity.Mode.changes
    /// How many backends of the first service's pool are draining: as large a part of its slots has changed.
    var draining = 0
    var encapsulation = Encapsulation.Kind.standard
    var variant: Encapsulation.Variant?
    var code = ForwarderObject.embedded
    /// Whether it is loaded with CAP_PERFMON.
    var isFullSpeed = true
    /// Those in force, if nil.
    var budgets: InsertBudgets?
  }

  /// The address of a service, counted from 0: 10.100.0.1 or fd00:100::1 and those after it.
  static func vip(_ service: Int, isIPv6: Bool) -> IPAddress {
    isIPv6
      ? IPAddress(
        family: .v6, octets: [0xfd, 0, 1] + [UInt8](repeating: 0, count: 12) + [UInt8(service + 1)])
      : IPAddress.v4(10, 100, 0, UInt8(service + 1))
  }

  /// The address of a backend, counted from 1: 10.1.POOL.NUMBER or fd00:10::POOL:NUMBER.
  static func address(ofBackend number: Int, pool: Int, isIPv6: Bool) -> IPAddress {
    isIPv6
      ? IPAddress(
        family: .v6,
        octets: [0xfd, 0, 0, 0x10] + [UInt8](repeating: 0, count: 9) + [UInt8(pool), 0, UInt8(number)])
      : IPAddress.v4(10, 1, UInt8(pool), UInt8(number))
  }

  static func forwarder(_ variation: Variation, pins: String) throws -> Forwarder {
    let limits = NodeSettings.Limits(
      services: 256, pools: 128, backends: 16_384, slots: 104 * Pool.defaultTableSize,
      flows: variation.mode == .all || variation.draining > 0 ? 4_000_000 : 65_536, pairs: 65_536)
    let settings = NodeSettings(
      interface: NodeSettings.Interface(name: "none"), limits: limits,
      hashSeed: "the bench's seed, no secret", pinDirectory: pins)
    let forwarder = try Forwarder(
      settings, isFullSpeed: variation.isFullSpeed, code: variation.code, budgets: variation.budgets,
      answersPerTick: .max)
    forwarder.setInterfaceAddress(mac)
    var plain = variation
    plain.draining = 0
    let installed = try install(desired(plain), over: InstalledState(), on: forwarder, limits)
    if variation.draining > 0 {
      _ = try install(desired(variation), over: installed, on: forwarder, limits)
    }
    return forwarder
  }

  private static func install(
    _ state: DesiredState, over installed: InstalledState, on forwarder: Forwarder,
    _ limits: NodeSettings.Limits
  ) throws -> InstalledState {
    let plan = try Planner.plan(from: installed, to: state, limits: limits, now: try forwarder.now())
    let addresses = state.pools.flatMap { $0.backends.map(\.address) }
    try forwarder.apply(
      plan,
      nextHops: Dictionary(
        uniqueKeysWithValues: addresses.map { ($0, NextHopState(mac: nextHop, isOnLink: true, mtu: 1600)) }))
    return plan.result
  }

  private static func desired(_ variation: Variation) -> DesiredState {
    var state = DesiredState()
    let encapsulation = Encapsulation(
      kind: variation.encapsulation, variant: variation.variant, source4: IPPrefix("172.16.0.0/16"),
      source6: IPPrefix("fd00:172::/64"))
    for index in 0...services {
      let isIPv6 = variation.isIPv6 != (index == services)
      state.pools.append(
        Pool(
          name: "p\(index)",
          backends: members(ofPool: index, isIPv6, draining: index == 0 ? variation.draining : 0),
          encapsulation: encapsulation))
      state.services.append(
        VirtualService(
          key: VirtualService.Key(
            address: vip(index == services ? 0 : index, isIPv6: isIPv6), transport: .tcp, port: port),
          name: "s\(index)", pool: "p\(index)", affinity: Affinity(mode: variation.mode)))
    }
    return state
  }

  /// If all of them drain, as many new ones are added.
  private static func members(ofPool pool: Int, _ isIPv6: Bool, draining: Int) -> [Backend] {
    (1...(draining == backends ? 2 * backends : backends)).map { number in
      var backend = Backend(
        name: "b\(number)", address: address(ofBackend: number, pool: pool, isIPv6: isIPv6))
      if number <= draining { backend.state = .drain }
      return backend
    }
  }

  /// Throws unless what a forwarder made of a frame of any flow is what a backend accepts. The frame has no VLAN tag.
  static func check(_ output: [UInt8], of frame: Frame, _ encapsulation: Encapsulation) throws {
    let family = frame.isIPv6 ? AddressFamily.v6 : .v4
    let overhead = encapsulation.overhead(for: family)
    guard output.count == frame.octets.count + overhead else {
      throw BenchError("a frame of \(frame.octets.count) octets became \(output.count)")
    }
    guard HardwareAddress(octets: output.prefix(6)) == nextHop else {
      throw BenchError("the frame does not go to the next hop")
    }
    let inner = [UInt8](repeating: 0, count: 14) + output[(14 + overhead)...]
    let service = Int(inner[frame.vipOffset + 3]) - 1
    var expected = frame.octets
    expected[frame.vipOffset + 3] = UInt8(service + 1)
    guard service < services, frame.packetWithoutFlow(inner) == frame.packetWithoutFlow(expected) else {
      throw BenchError("the inner packet changed")
    }
    guard encapsulation.isTunnel else { return }
    let behind = 14 + family.headerLength
    let destination = IPAddress(
      family: family, octets: Array(output[(behind - family.bitWidth / 8)..<behind]))
    let own = (1...(2 * backends)).map { address(ofBackend: $0, pool: service, isIPv6: frame.isIPv6) }
    guard own.contains(destination) else {
      throw BenchError("\(destination) is no backend of service \(service)")
    }
    if !frame.isIPv6 {
      let sum = stride(from: 14, to: 34, by: 2).reduce(0) { $0 + Int(output[$1]) << 8 + Int(output[$1 + 1]) }
      guard (sum & 0xffff + sum >> 16) == 0xffff else { throw BenchError("the outer checksum is wrong") }
    }
  }
}
