// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Netlink

@Suite(.timeLimit(.minutes(10))) struct LinkTests {
  @Test func linksOfANamespaceAreListed() throws {
    let wire = try Wire()
    var socket = try wire.nearSocket()
    let links = try socket.links()
    #expect(links.map(\.name).sorted() == ["lo", "slnl0"])

    let loopback = try #require(links.first { $0.name == "lo" })
    #expect(loopback.index == 1 && loopback.kind == nil && loopback.hardwareAddress == nil && loopback.isUp)

    let veth = try #require(links.first { $0.name == "slnl0" })
    #expect(veth.kind == "veth" && veth.hardwareAddress == Wire.nearMAC && veth.mtu == 1500)
    #expect(veth.isUp && veth.isRunning && veth.xdpPrograms.isEmpty && veth.masterIndex == nil)
    var other = try wire.far.inside { try NetlinkSocket() }
    let peer = try other.link(named: "slnl1")
    #expect(veth.peerIndex == peer?.index && peer?.hardwareAddress == Wire.farMAC)

    #expect(try socket.link(named: "slnl0") == veth)
    #expect(try socket.link(index: veth.index) == veth)
  }

  @Test func absentLinksAreNil() throws {
    let wire = try Wire()
    var socket = try wire.nearSocket()
    for name in ["slnl9", "a-name-longer-than-an-interface-name-may-be", ""] {
      #expect(try socket.link(named: name) == nil, "\(name)")
    }
    #expect(try socket.link(index: 4711) == nil)
    #expect(try socket.link(index: 0) == nil)
    #expect(try socket.link(index: .max) == nil)
  }

  @Test func alternativeNamesAreFound() throws {
    let wire = try Wire()
    try wire.near.run(
      "ip", "link", "property", "add", "dev", "slnl0", "altname", "slnl-uplink-with-a-long-name")
    var socket = try wire.nearSocket()
    #expect(try socket.link(named: "slnl-uplink-with-a-long-name")?.name == "slnl0")
  }

  @Test func carrierIsLostWithThePeer() async throws {
    let wire = try Wire()
    try wire.far.run("ip", "link", "set", "slnl1", "down")
    var socket = try wire.nearSocket()
    let link = try await eventually {
      let link = try socket.link(named: "slnl0")
      return link?.isRunning == false ? link : nil
    }
    #expect(link?.isUp == true)
  }
}
