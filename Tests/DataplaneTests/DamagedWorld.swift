// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import Glibc
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

/// A forwarder with several pools, whose maps another process damages. Nothing of pool and service `solid` is damaged.
final class DamagedWorld {
  static let limits = NodeSettings.Limits(
    services: 16, pools: 8, backends: 48, slots: 12 * 251, flows: 1024, pairs: 512)
  static let solidVIP = IPAddress.v4(10, 100, 0, 9)

  let forwarder: Forwarder
  private(set) var installed = InstalledState()
  let desired: DesiredState

  init(_ forwarder: Forwarder) throws {
    self.forwarder = forwarder
    desired = Self.desired
    forwarder.setInterfaceAddress(.balancer)
  }

  static var desired: DesiredState {
    let pools = [
      pool("solid", 1...3), pool("web", 4...6), pool("other", 7...9, hash: .source), pool("late", 10...11),
    ]
    let services = [
      service(solidVIP, 80, .tcp, "solid", "solid"), service(.v4(10, 100, 0, 1), 80, .tcp, "www", "web"),
      service(.v4(10, 100, 0, 1), 0, .udp, "any", "other"),
      service(ip("fd00:100::1"), 443, .tcp, "www6", "web"),
      service(.v4(10, 100, 0, 2), 53, .udp, "dns", "late"),
    ]
    return DesiredState(services: services, pools: pools)
  }

  private static func pool(_ name: String, _ hosts: ClosedRange<UInt8>, hash: HashFields = .flow) -> Pool {
    Pool(
      name: name, backends: hosts.map { Backend(name: "b\($0)", address: .v4(10, 0, 0, $0)) }, hash: hash,
      tableSize: 251)
  }

  private static func service(
    _ vip: IPAddress, _ port: UInt16, _ transport: TransportProtocol, _ name: String, _ pool: String
  ) -> VirtualService {
    VirtualService(key: .init(address: vip, transport: transport, port: port), name: name, pool: pool)
  }

  static let nextHops = Dictionary(
    uniqueKeysWithValues: (1...20).map { (number: UInt8) in
      (
        IPAddress.v4(10, 0, 0, number),
        NextHopState(
          mac: HardwareAddress(octets: [2, 0, 0, 0, 1, number]), mtu: 1600, sourceAddress: .v4(10, 9, 9, 9))
      )
    })

  // MARK: What a daemon does

  /// As a start: reads, repairs, plans, applies, and repairs what no plan knows of.
  /// - Parameter watch: is called after each of these.
  /// - Returns: what was not believed.
  @discardableResult
  func recover(watch: () throws -> Void = {}) throws -> [String] {
    var findings: [String] = []
    installed = try forwarder.readInstalled(expecting: desired, findings: &findings)
    _ = try forwarder.repair(installed, parts: [.backends, .pools], nextHops: Self.nextHops)
    // As the daemon does for each installed backend when it has read routes and neighbours.
    for backend in installed.backends.values {
      if let nextHop = Self.nextHops[backend.address] { forwarder.setNextHop(nextHop, of: backend.number) }
    }
    try watch()
    try bring(watch)
    // A believable record may name an address that is none of the pool's: its backend leaves, and is gone later.
    if installed.backends.values.contains(where: \.isLeaving) { try bring(watch) }
    _ = try forwarder.repair(installed, nextHops: Self.nextHops)
    try watch()
    return findings
  }

  /// Brings the maps to what is desired. Backends that were leaving before are gone afterwards.
  private func bring(_ watch: () throws -> Void) throws {
    let leaving = Set(installed.backends.values.filter(\.isLeaving).map(\.number))
    let plan = try Planner.plan(
      from: installed, to: desired, limits: Self.limits, now: try forwarder.now(),
      tickLength: forwarder.tickLength, expired: leaving, allowsLostFlows: true)
    try forwarder.apply(plan, nextHops: Self.nextHops)
    installed = plan.result
    try watch()
  }

  /// What differs from what should be in force, in words; nil: nothing.
  func fault() throws -> String? {
    var findings: [String] = []
    let found = try forwarder.readInstalled(expecting: desired, findings: &findings)
    guard findings.isEmpty else { return "still damaged: \(findings)" }
    guard found == installed else { return "what is read is not what was planned" }
    guard Set(found.services.keys) == Set(desired.services.map(\.key)) else {
      return "services \(found.services.keys)"
    }
    for service in desired.services where found.services[service.key]?.service != service {
      return "service \(service.name)"
    }
    for pool in desired.pools {
      guard let table = found.pools[pool.name] else { return "pool \(pool.name)" }
      let owners = Set(table.slots.map(\.current)).map { found.backends[$0]?.address }
      guard Set(owners) == Set(pool.backends.map { Optional($0.address) }) else {
        return "owners of \(pool.name)"
      }
    }
    let repaired = try forwarder.repair(installed, nextHops: Self.nextHops)
    guard repaired.isEmpty else { return "not repaired at first: \(repaired)" }
    for (vip, port, transport) in [
      (IPAddress.v4(10, 100, 0, 1), UInt16(80), TransportProtocol.tcp), (.v4(10, 100, 0, 2), 53, .udp),
      (.v4(10, 100, 0, 1), 5353, .udp),
    ] {
      let before = try forwarder.reader.verdicts()
      guard try send(to: vip, port, transport, from: 30_000) == nil else { continue }
      let after = try forwarder.reader.verdicts()
      let verdict = zip(before, after).first { $0.count.packets != $1.count.packets }?.1.name ?? "no verdict"
      return "a packet to \(vip) \(port): \(verdict)"
    }
    return nil
  }

  // MARK: Packets

  /// Where packets of 16 flows of the undamaged service go.
  func solid() throws -> [UInt8?] {
    try (0..<16).map { try send(to: Self.solidVIP, 80, .tcp, from: 20_000 + $0) }
  }

  /// The last octet of the backend that a packet goes to; nil: none.
  private func send(
    to vip: IPAddress, _ port: UInt16, _ transport: TransportProtocol, from source: UInt16
  ) throws -> UInt8? {
    let headers = Packet.ethernet().ip(from: vip.family.client, to: vip)
    let packet =
      transport == .tcp
      ? headers.tcp(from: source, to: port, flags: .ack) : headers.udp(from: source, to: port)
    let result = try forwarder.program.testRun(input: packet.bytes)
    return result.returnValue == Action.transmit ? result.output[5] : nil
  }
}
