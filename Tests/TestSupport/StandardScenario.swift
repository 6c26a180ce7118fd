// SPDX-License-Identifier: Apache-2.0
internal import CForwardingABI
public import LoadBalancing

/// An address from its text, which must be one.
public func ip(_ text: String) -> IPAddress { IPAddress(text)! }

/// Who takes part in the standard scenario, by family.
extension AddressFamily {
  public var client: IPAddress { self == .v4 ? ip("192.0.2.7") : ip("2001:db8:c::7") }
  /// Its services are those of ``Port``.
  public var vip: IPAddress { self == .v4 ? ip("198.51.100.10") : ip("2001:db8:f::10") }
  /// Its services take any port, but for ``Port/exact``.
  public var anyPortVIP: IPAddress { self == .v4 ? ip("198.51.100.11") : ip("2001:db8:f::11") }
  /// No VIP: the balancer itself, for instance.
  public var otherHost: IPAddress { self == .v4 ? ip("203.0.113.1") : ip("2001:db8:e::1") }
  /// Between client and balancer, the author of ICMP errors.
  public var routerOnTheWay: IPAddress { self == .v4 ? ip("203.0.113.254") : ip("2001:db8:e::fe") }
}

/// Ports of the standard scenario's VIPs, named after the backend behind them.
public enum Port {
  public static let v4: UInt16 = 80
  public static let v6: UInt16 = 443
  public static let fixedSource: UInt16 = 8080
  public static let noBackend: UInt16 = 81
  public static let noNextHop: UInt16 = 82
  public static let smallMTUv4: UInt16 = 83
  public static let smallMTUv6: UInt16 = 84
  public static let unknownEncapsulation: UInt16 = 85
  public static let backendOutOfRange: UInt16 = 86
  public static let zeroTable: UInt16 = 87
  public static let poolOutOfRange: UInt16 = 88
  public static let unusable: UInt16 = 89
  public static let serviceOutOfRange: UInt16 = 90
  public static let zeroMTU: UInt16 = 91
  public static let sourceHash: UInt16 = 92
  public static let tableOutOfRange: UInt16 = 93
  public static let fixedSourceV6: UInt16 = 94
  public static let unserved: UInt16 = 9
  /// Of the any-port VIP, with a backend of its own.
  public static let exact: UInt16 = 7777
}

/// Numbers of the standard scenario's backends.
public enum Backend {
  public static let v4: UInt32 = 1
  public static let v6: UInt32 = 2
  public static let fixedSource: UInt32 = 3
  public static let noNextHop: UInt32 = 4
  public static let smallMTUv4: UInt32 = 5
  public static let smallMTUv6: UInt32 = 6
  public static let unknownEncapsulation: UInt32 = 7
  public static let unusable: UInt32 = 8
  public static let zeroMTU: UInt32 = 9
  public static let fixedSourceV6: UInt32 = 10
}

extension Scenario {
  /// Two VIPs of each family; in front of each kind of backend, each kind of pool, and each kind of nonsense that
  /// only a foreign writer can put into the maps.
  public static var standard: Scenario {
    var scenario = Scenario()
    scenario.backends =
      [
        TestBackend(
          Backend.v4, ip("10.0.0.1"), source: ip("10.9.0.0"), entropyBits: 16, nextHop: "02:00:00:00:01:01"),
        TestBackend(
          Backend.v6, ip("fd00::2"), source: ip("fd00:9::"), entropyBits: 32, nextHop: "02:00:00:00:01:02"),
        TestBackend(
          Backend.fixedSource, ip("10.0.0.3"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:03"),
        TestBackend(Backend.noNextHop, ip("10.0.0.4"), source: ip("10.9.1.1"), nextHop: nil),
        TestBackend(
          Backend.smallMTUv4, ip("10.0.0.5"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:05", mtu: 1400),
        TestBackend(
          Backend.smallMTUv6, ip("fd00::6"), source: ip("fd00:9::1"), nextHop: "02:00:00:00:01:06", mtu: 1400),
        TestBackend(
          Backend.unknownEncapsulation, ip("10.0.0.7"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:07",
          encapsulation: .unknown(9)),
        TestBackend(
          Backend.unusable, ip("10.0.0.8"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:08",
          isUsable: false),
        TestBackend(
          Backend.zeroMTU, ip("10.0.0.9"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:09", mtu: 0),
        TestBackend(
          Backend.fixedSourceV6, ip("fd00::a"), source: ip("fd00:9::a"), nextHop: "02:00:00:00:01:0a", pair: 2
        ),
      ] + EncapsulatedService.all.map(\.backend)
    scenario.pools = pools
    for family in AddressFamily.allCases { scenario.addServices(family) }
    return scenario
  }

  /// A pool per TCP port, of the port's number less 60, where the port has no other.
  private static var pools: [TestPool] {
    [
      TestPool(1, Backend.v4), TestPool(2, Backend.v6), TestPool(3, Backend.fixedSource),
      TestPool(21, noBackendNumber), TestPool(22, Backend.noNextHop), TestPool(23, Backend.smallMTUv4),
      TestPool(24, Backend.smallMTUv6), TestPool(25, Backend.unknownEncapsulation),
      TestPool(26, ForwarderFixture.backendCount + 7), TestPool(27, slots: [], table: 0),
      TestPool(29, Backend.unusable), TestPool(31, Backend.zeroMTU),
      TestPool(32, Backend.v4, Backend.v4, Backend.v4, hash: .HASH_SOURCE),
      TestPool(33, slots: [], table: 7 << 32 | UInt64(ForwarderFixture.slotCount)),
      TestPool(34, Backend.fixedSourceV6),
    ] + EncapsulatedService.all.map { TestPool(UInt32($0.port) - 60, $0.backend.number) }
  }

  private mutating func addServices(_ family: AddressFamily) {
    let vip = family.vip
    let anyPort = family.anyPortVIP
    var number: UInt32 = family == .v4 ? 1 : 61
    func add(_ vip: IPAddress, _ port: UInt16, _ transport: IPProtocol, _ pool: UInt32) {
      services.append(TestService(number, vip, port, transport, pool: pool))
      number += 1
    }
    add(vip, Port.v4, .tcp, 1)
    add(vip, Port.v6, .tcp, 2)
    add(vip, Port.v4, .udp, 1)
    add(vip, Port.v6, .udp, 2)
    add(vip, Port.fixedSource, .tcp, 3)
    for port in Port.noBackend...Port.fixedSourceV6 where port != Port.serviceOutOfRange {
      add(vip, port, .tcp, port == Port.poolOutOfRange ? 1_000_000 : UInt32(port) - 60)
    }
    add(vip, Port.smallMTUv4, .udp, 23)
    for service in EncapsulatedService.all { add(vip, service.port, .tcp, UInt32(service.port) - 60) }
    for service in EncapsulatedService.all { add(vip, service.port, .udp, UInt32(service.port) - 60) }
    add(anyPort, 0, .tcp, 1)
    add(anyPort, 0, .udp, 1)
    add(anyPort, Port.exact, .tcp, 2)
    services.append(TestService(1_000_000, vip, Port.serviceOutOfRange, pool: 1))
  }
}

private let noBackendNumber = UInt32(BACKEND_NONE)
