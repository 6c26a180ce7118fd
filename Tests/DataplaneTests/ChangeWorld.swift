// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import Glibc
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

/// A forwarder that is brought from one desired state to the next, while packets arrive between any two stores.
/// One thread at a time uses it.
final class ChangeWorld: @unchecked Sendable {
  static let limits = NodeSettings.Limits(
    services: 64, pools: 16, backends: 4096, slots: 40 * 61, flows: 1024, pairs: 16_384)
  static let size = 61

  let forwarder: Forwarder
  private(set) var installed = InstalledState()
  private let pins: String

  init(_ name: String) throws {
    pins = "/sys/fs/bpf/sluice-test-\(getpid())-\(name)"
    forwarder = try Forwarder(
      NodeSettings(interface: .init(name: "none"), limits: Self.limits, hashSeed: name, pinDirectory: pins),
      isFullSpeed: true, code: ForwarderFixture.code())
    forwarder.setInterfaceAddress(.balancer)
  }

  deinit { rmdir(pins) }

  /// A pool whose backends have the addresses 10.0.`number`.`hosts`.
  static func pool(_ number: UInt8, _ hosts: ClosedRange<UInt8> = 1...3, settle: Int = 7200) -> Pool {
    Pool(
      name: "p\(number)", backends: hosts.map { Backend(name: "b\($0)", address: .v4(10, 0, number, $0)) },
      tableSize: size, settle: settle)
  }

  static func service(_ key: VirtualService.Key, _ pool: UInt8, learn: Int = 60) -> VirtualService {
    VirtualService(key: key, name: "s", pool: "p\(pool)", affinity: Affinity(learn: learn))
  }

  static func nextHop(_ address: IPAddress) -> NextHopState {
    let octets = address.octets
    return NextHopState(
      mac: HardwareAddress(octets: [2, 0, 0, 0, octets[2], octets[3]]), mtu: 1600,
      sourceAddress: .v4(10, 9, 9, 9))
  }

  /// - Parameters:
  ///   - expired: leaving backends that go.
  ///   - knowsNextHops: whether new backends have a next hop at once.
  ///   - watch: is called between any two stores.
  func follow(
    _ desired: DesiredState, expired: Set<BackendNumber> = [], knowsNextHops: Bool = true,
    watch: @escaping @Sendable (FaultPoint) -> Void = { _ in }
  ) throws {
    let plan = try Planner.plan(
      from: installed, to: desired, limits: Self.limits, now: try forwarder.now(),
      tickLength: forwarder.tickLength, expired: expired, allowsLostFlows: true)
    let addresses = knowsNextHops ? plan.result.backends.values.map(\.address) : []
    let hops = Dictionary(addresses.map { ($0, Self.nextHop($0)) }, uniquingKeysWith: { first, _ in first })
    try FaultPoint.$observer.withValue(watch) { try forwarder.apply(plan, nextHops: hops) }
    installed = plan.result
  }

  /// The pool and host octets of the backend that a packet to a key goes to; nil: it goes to none.
  func send(to key: VirtualService.Key, from port: UInt16, flags: TCPFlags = .ack) throws -> (UInt8, UInt8)? {
    let headers = Packet.ethernet().ip(from: key.address.family.client, to: key.address)
    let packet =
      key.transport == .tcp
      ? headers.tcp(from: port, to: key.port, flags: flags) : headers.udp(from: port, to: key.port)
    let result = try forwarder.program.testRun(input: packet.bytes)
    // An answer to the client has no IP header in IP: protocol 4 or 41.
    guard result.returnValue == Action.transmit, result.output[12] == 8, [4, 41].contains(result.output[23])
    else { return nil }
    return (result.output[4], result.output[5])
  }
}
