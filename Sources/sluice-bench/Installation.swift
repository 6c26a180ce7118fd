// SPDX-License-Identifier: Apache-2.0
import Dataplane
import LoadBalancing

/// What is installed while the bench runs: 100 IPv4 services on 100 pools of 100 backends, each pool with a table of
/// its own, and one IPv6 service on a pool of 100.
enum Installation {
  static let pools = 100
  static let backends = 100
  static let vip4 = IPAddress.v4(10, 100, 0, 1)
  static let vip6 = IPAddress("fd00:100::1")!
  static let mac: [UInt8] = [2, 0, 0, 0, 0, 1]
  private static let nextHop: [UInt8] = [2, 0, 0, 0, 0, 2]

  /// How a forwarder under test differs from the plainest one.
  struct Variation {
    var mode = Affinity.Mode.changes
    /// How many of the measured pools' backends are draining: as large a part of the slots has changed.
    var draining = 0
    var code = ForwarderObject.embedded
    /// Those in force, if nil.
    var budgets: InsertBudgets?
  }

  static func forwarder(_ variation: Variation, pins: String) throws -> Forwarder {
    let limits = NodeSettings.Limits(
      services: 256, pools: 128, backends: 16_384, slots: 104 * Pool.defaultTableSize,
      flows: variation.mode == .all || variation.draining > 0 ? 4_000_000 : 65_536, pairs: 65_536)
    let settings = NodeSettings(
      interface: NodeSettings.Interface(name: "none"), limits: limits,
      hashSeed: "the bench's seed, no secret", pinDirectory: pins)
    let forwarder = try Forwarder(
      settings, isFullSpeed: true, code: variation.code, budgets: variation.budgets)
    forwarder.setInterfaceAddress(mac)
    var installed = try install(desired(variation.mode), over: InstalledState(), on: forwarder, limits)
    if variation.draining > 0 {
      installed = try install(
        desired(variation.mode, draining: variation.draining), over: installed, on: forwarder, limits)
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
        uniqueKeysWithValues: addresses.map { ($0, NextHopState(mac: nextHop, mtu: 1600)) }))
    return plan.result
  }

  /// Where backends drain, the pool has new ones beside them when all of the old ones do.
  private static func desired(_ mode: Affinity.Mode, draining: Int = 0) -> DesiredState {
    var state = DesiredState()
    let encapsulation = Encapsulation(source4: IPPrefix("172.16.0.0/16"), source6: IPPrefix("fd00:172::/64"))
    for pool in 0...pools {
      var members = members(ofPool: pool)
      if isMeasured(pool) {
        for index in 0..<draining { members[index].state = .drain }
        if draining == backends { members += successors(ofPool: pool) }
      }
      state.pools.append(Pool(name: "p\(pool)", backends: members, encapsulation: encapsulation))
      let address = pool == pools ? vip6 : IPAddress.v4(10, 100, 0, UInt8(pool + 1))
      state.services.append(
        VirtualService(
          key: VirtualService.Key(address: address, transport: .tcp, port: 80), name: "s\(pool)",
          pool: "p\(pool)", affinity: Affinity(mode: mode)))
    }
    return state
  }

  /// Whether traffic goes there.
  private static func isMeasured(_ pool: Int) -> Bool { pool == 0 || pool == pools }

  private static func members(ofPool pool: Int) -> [Backend] { backends(ofPool: pool, from: 1) }

  private static func successors(ofPool pool: Int) -> [Backend] { backends(ofPool: pool, from: 1 + backends) }

  private static func backends(ofPool pool: Int, from first: Int) -> [Backend] {
    (first..<(first + backends)).map { number in
      Backend(
        name: "b\(number)",
        address: pool == pools
          ? IPAddress("fd00:10::\(String(number, radix: 16))")!
          : IPAddress.v4(10, 1, UInt8(pool), UInt8(number)))
    }
  }

  /// A TCP segment of 40 octets of payload-free headers and options: 94 octets of frame for IPv4, 114 for IPv6.
  static func frame(isIPv6: Bool, syn: Bool) -> [UInt8] {
    let ethernet: [UInt8] = mac + [2, 0, 0, 0, 0, 9] + (isIPv6 ? [0x86, 0xdd] : [0x08, 0x00])
    let payload = 40
    let tcp: [UInt8] =
      [0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, syn ? 0x02 : 0x10, 0xff, 0xff, 0, 0, 0, 0]
      + [UInt8](repeating: 0, count: payload)
    let source = isIPv6 ? IPAddress("fd00:1::1")! : IPAddress.v4(11, 0, 0, 1)
    let vip = isIPv6 ? vip6 : vip4
    let ip: [UInt8] =
      isIPv6
      ? [0x60, 0, 0, 0, 0, UInt8(tcp.count), 6, 64]
      : [0x45, 0, 0, UInt8(20 + tcp.count), 0, 0, 0x40, 0, 64, 6, 0, 0]
    return ethernet + ip + source.octets + vip.octets + tcp
  }

  /// Throws unless what a forwarder made of a frame of any flow is what a backend would take.
  static func check(_ output: [UInt8], of frame: [UInt8], isIPv6: Bool) throws {
    let overhead = isIPv6 ? 40 : 20
    guard output.count == frame.count + overhead else {
      throw BenchError("the frame grew to \(output.count)")
    }
    guard Array(output[..<6]) == nextHop else { throw BenchError("the frame does not go to the next hop") }
    let inner = [UInt8](repeating: 0, count: 14) + output[(14 + overhead)...]
    guard withoutFlow(inner, isIPv6)[14...] == withoutFlow(frame, isIPv6)[14...] else {
      throw BenchError("the inner packet changed")
    }
    let destination = IPAddress(
      family: isIPv6 ? .v6 : .v4, octets: Array(output[(14 + overhead - (isIPv6 ? 16 : 4))..<(14 + overhead)])
    )
    let pool = isIPv6 ? pools : 0
    guard (members(ofPool: pool) + successors(ofPool: pool)).contains(where: { $0.address == destination })
    else {
      throw BenchError("\(destination) is no backend of the service")
    }
    if !isIPv6 {
      let sum = stride(from: 14, to: 34, by: 2).reduce(0) { $0 + Int(output[$1]) << 8 + Int(output[$1 + 1]) }
      guard (sum & 0xffff + sum >> 16) == 0xffff else { throw BenchError("the outer checksum is wrong") }
    }
  }

  /// A frame with zeros where the harness writes the flow: the source address's last word and the source port.
  private static func withoutFlow(_ frame: [UInt8], _ isIPv6: Bool) -> [UInt8] {
    var frame = frame
    for octet in isIPv6 ? [34, 35, 36, 37, 54, 55] : [26, 27, 28, 29, 34, 35] { frame[octet] = 0 }
    return frame
  }
}
