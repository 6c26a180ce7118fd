// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Netlink

@Suite(.timeLimit(.minutes(1))) struct RouteTests {
  let wire: Wire
  let index: UInt32

  init() throws {
    wire = try Wire()
    index = try wire.nearIndex()
  }

  private func route(_ destination: String) throws -> Route {
    var socket = try wire.nearSocket()
    return try socket.route(to: NetworkAddress(destination)!)
  }

  private func refusal(_ destination: String) -> Int32? {
    failure { _ = try route(destination) }?.errno
  }

  @Test(arguments: [("10.99.0.7", "10.99.0.1"), ("fd99::7", "fd99::1")])
  func destinationsOnTheLinkAreTheirOwnNextHop(_ destination: String, _ source: String) throws {
    let route = try route(destination)
    #expect(
      route.kind == .unicast && route.interfaceIndex == index && route.gateway == nil && route.mtu == nil)
    #expect(route.preferredSource == NetworkAddress(source))
    #expect(route.nextHop(for: NetworkAddress(destination)!) == NetworkAddress(destination))
  }

  @Test(arguments: [("198.51.100.1", "10.99.0.2"), ("2001:db8::1", "fd99::2")])
  func gatewayAndMTUOfTheRouteAreTold(_ destination: String, _ gateway: String) throws {
    try wire.near.run("ip", "route", "add", "\(destination)", "via", gateway, "dev", "slnl0", "mtu", "1400")
    let route = try route(destination)
    #expect(route.gateway == NetworkAddress(gateway) && route.mtu == 1400 && route.interfaceIndex == index)
    #expect(route.nextHop(for: NetworkAddress(destination)!) == NetworkAddress(gateway))
  }

  @Test func ipv4MayGoThroughAnIPv6Gateway() throws {
    try wire.near.run("ip", "-4", "route", "add", "default", "via", "inet6", "fd99::2", "dev", "slnl0")
    #expect(try route("203.0.113.5").gateway == NetworkAddress("fd99::2"))
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
