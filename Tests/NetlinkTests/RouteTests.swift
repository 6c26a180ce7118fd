// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Netlink

@Suite(.timeLimit(.minutes(10))) struct RouteTests {
  let wire: Wire
  let index: UInt32

  init() throws {
    wire = try Wire()
    index = try wire.nearIndex()
  }

  private func route(_ destination: String) throws -> Route {
    var socket = try wire.nearSocket()
    return try socket.route(to: IPAddress(destination)!)
  }

  private func refusal(_ destination: String) -> Int32? {
    failure { _ = try route(destination) }?.errno
  }

  @Test(arguments: [("10.99.0.7", "10.99.0.1"), ("fd99::7", "fd99::1")])
  func destinationsOnTheLinkAreTheirOwnNextHop(_ destination: String, _ source: String) throws {
    let route = try route(destination)
    #expect(
      route.kind == .unicast && route.paths == [Route.Path(interfaceIndex: index, gateway: nil)]
        && route.mtu == nil)
    #expect(route.preferredSource == IPAddress(source))
    #expect(route.paths[0].nextHop(for: IPAddress(destination)!) == IPAddress(destination))
  }

  @Test(arguments: [("198.51.100.1", "10.99.0.2"), ("2001:db8::1", "fd99::2")])
  func gatewayAndMTUOfTheRouteAreTold(_ destination: String, _ gateway: String) throws {
    try wire.near.run("ip", "route", "add", "\(destination)", "via", gateway, "dev", "slnl0", "mtu", "1400")
    let route = try route(destination)
    #expect(
      route.paths == [Route.Path(interfaceIndex: index, gateway: IPAddress(gateway))]
        && route.mtu == 1400)
    #expect(route.paths[0].nextHop(for: IPAddress(destination)!) == IPAddress(gateway))
  }

  @Test(arguments: [
    ("198.51.100.0/24", "198.51.100.1", ["10.99.0.2", "10.99.0.3"]),
    ("2001:db8::/64", "2001:db8::1", ["fd99::2", "fd99::3"]),
  ])
  func allPathsOfAMultipathRouteAreTold(_ prefix: String, _ destination: String, _ gateways: [String]) throws
  {
    try wire.near.run(
      "ip", "route", "add", prefix, "mtu", "1450",
      "nexthop", "via", gateways[0], "dev", "slnl0", "nexthop", "via", gateways[1], "dev", "slnl0")
    let route = try route(destination)
    #expect(Set(route.paths.map { "\($0.gateway!)" }) == Set(gateways) && route.paths.count == 2)
    #expect(route.mtu == 1450 && route.paths.allSatisfy { $0.interfaceIndex == index })
  }

  @Test(arguments: [
    ("-4", "198.51.100.0/24", "198.51.100.1", "10.99.0.2"), ("-6", "2001:db8::/64", "2001:db8::1", "fd99::2"),
  ])
  func nextHopObjectsAreFollowed(
    _ family: String, _ prefix: String, _ destination: String, _ gateway: String
  ) throws {
    try wire.near.run("ip", family, "nexthop", "add", "id", "7", "via", gateway, "dev", "slnl0")
    try wire.near.run("ip", family, "route", "add", prefix, "nhid", "7")
    #expect(
      try route(destination).paths == [Route.Path(interfaceIndex: index, gateway: IPAddress(gateway))])
  }

  /// The entry of an advertisement would win by its metric; any host on the link could have sent it.
  @Test func aConfiguredRouteIsPreferredToAnAdvertisedOne() throws {
    try wire.near.run("ip", "route", "add", "default", "via", "fd99::2", "metric", "2048")
    try wire.near.run("ip", "route", "add", "default", "via", "fd99::66", "metric", "512", "proto", "ra")
    let configured = try route("2001:db8::1")
    #expect(configured.paths.map(\.gateway) == [IPAddress("fd99::2")] && !configured.isAdvertised)
    try wire.near.run("ip", "-6", "route", "del", "default", "via", "fd99::2")
    let advertised = try route("2001:db8::1")
    #expect(advertised.paths.map(\.gateway) == [IPAddress("fd99::66")] && advertised.isAdvertised)
  }

  @Test func ipv4MayGoThroughAnIPv6Gateway() throws {
    try wire.near.run("ip", "-4", "route", "add", "default", "via", "inet6", "fd99::2", "dev", "slnl0")
    #expect(try route("203.0.113.5").paths.map(\.gateway) == [IPAddress("fd99::2")])
  }

  @Test func ownAddressesAreLocal() throws {
    #expect(try route("10.99.0.1").kind == .local)
    #expect(try route("fd99::1").kind == .local)
  }

  @Test func refusingRoutesAreErrors() throws {
    #expect(refusal("203.0.113.1") == ENETUNREACH)
    #expect(refusal("2001:db8::9") == ENETUNREACH)
    for (number, (kind, code)) in [
      ("unreachable", EHOSTUNREACH), ("prohibit", EACCES), ("blackhole", EINVAL),
    ].enumerated() {
      try wire.near.run("ip", "route", "add", kind, "203.0.113.1\(number)")
      try wire.near.run("ip", "route", "add", kind, "2001:db8::1\(number)")
      #expect(refusal("203.0.113.1\(number)") == code, "\(kind)")
      #expect(refusal("2001:db8::1\(number)") == code, "\(kind)")
    }
  }
}
