// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Netlink

@Suite struct ParsingTests {
  @Test func aLinkIsRead() throws {
    let message = try onlyMessage(in: Specimens.link)
    #expect(message.sequence == 5 && message.port == 42 && message.type == 16)
    let link = Link(
      index: 3, name: "slnl0", hardwareAddress: Wire.nearMAC, mtu: 1500, isUp: true, isRunning: true,
      kind: "veth", peerIndex: 2, masterIndex: nil,
      xdpPrograms: [AttachedXDPProgram(mode: .generic, programID: 128)])
    #expect(Link(message) == link)
    #expect(NetlinkEvent(message) == .link(link, removed: false))
  }

  @Test func aNeighbourIsRead() throws {
    let neighbour = Neighbour(
      interfaceIndex: 3, address: Wire.far[0], hardwareAddress: Wire.farMAC, state: .stale)
    var bytes = Specimens.neighbour
    #expect(try NetlinkEvent(onlyMessage(in: bytes)) == .neighbour(neighbour, removed: false))
    bytes[4] = 29  // RTM_DELNEIGH
    #expect(try NetlinkEvent(onlyMessage(in: bytes)) == .neighbour(neighbour, removed: true))
  }

  @Test func aRouteIsRead() throws {
    let route = Route(
      kind: .unicast, paths: [Route.Path(interfaceIndex: 3, gateway: Wire.far[0])],
      preferredSource: IPAddress("10.99.0.1"), mtu: 1400)
    #expect(try Route(onlyMessage(in: Specimens.route)) == route)
  }

  @Test func aRouteWithAnImpossiblePrefixLengthIsRefused() throws {
    var bytes = Specimens.route
    #expect(try RouteEntry(onlyMessage(in: bytes))?.covers(Wire.far[0]) != nil)
    bytes[17] = 33
    #expect(try RouteEntry(onlyMessage(in: bytes)) == nil)
  }

  @Test func theInterfacesOwnAddressIsRead() throws {
    let address = InterfaceAddress(
      interfaceIndex: 3, address: IPAddress("10.99.0.1")!, prefixLength: 24)
    #expect(try InterfaceAddress(onlyMessage(in: Specimens.address)) == address)
  }

  @Test(arguments: [Specimens.refusal, Specimens.echoingRefusal])
  func aRefusalIsReadWithItsExplanation(_ bytes: [UInt8]) throws {
    let outcome = try #require(try Acknowledgement(onlyMessage(in: bytes)))
    #expect(outcome.errno == EINVAL && outcome.message == "odd")
  }

  @Test func theEndOfAListIsSuccess() throws {
    let outcome = try #require(try Acknowledgement(onlyMessage(in: Specimens.done)))
    #expect(outcome.errno == 0 && outcome.message == nil)
  }

  @Test func aDatagramHoldsSeveralMessages() throws {
    let datagram = Specimens.link + Specimens.route + Specimens.done
    #expect(Message.parse(datagram[...])?.map(\.type) == [16, 24, 3])
    #expect(Message.parse([]) != nil)
  }

  @Test func messagesOfABridgeAboutItsPortsAreNotLinks() throws {
    var bytes = Specimens.link
    bytes[4] = 17  // RTM_DELLINK: a port leaves its bridge
    bytes[16] = 7  // AF_BRIDGE
    #expect(try NetlinkEvent(onlyMessage(in: bytes)) == nil)
    bytes = Specimens.neighbour
    bytes[16] = 7
    #expect(try NetlinkEvent(onlyMessage(in: bytes)) == nil)
  }

  @Test func truncatedMessagesAreRefused() {
    for bytes in Specimens.all {
      for length in 1..<bytes.count { #expect(Message.parse(bytes[..<length]) == nil) }
    }
  }

  @Test func attributesEndAtTheFirstImpossibleLength() {
    func types(_ bytes: [UInt8]) -> [Int] { Attributes(bytes: bytes[...]).map(\.type) }
    #expect(types([4, 0, 1, 0, 4, 0, 2, 0]) == [1, 2])
    #expect(types([4, 0, 1, 0, 3, 0, 2, 0]) == [1])
    #expect(types([4, 0, 1, 0, 9, 0, 2, 0, 0, 0, 0, 0]) == [1])
    #expect(types([4, 0, 1, 0, 0, 0, 0, 0]) == [1])
    #expect(types([5, 0, 1, 0, 7]) == [1])
    #expect(types([4, 0, 1]) == [])
  }

  /// Whatever arrives, reading it ends and stays inside the bytes; what is read fits its own description.
  @Test func mutatedBytesAreReadSafely() {
    var random = XorShift(state: 0x51_1ce)
    var readable = 0
    for _ in 0..<20_000 {
      var bytes = Specimens.all.randomElement(using: &random)!
      if Bool.random(using: &random) { bytes += Specimens.all.randomElement(using: &random)! }
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        // Lengths lie in small numbers; other values test what is read out of them.
        bytes[position] =
          .random(in: 0...(Bool.random(using: &random) ? 16 : 255), using: &random)
      }
      if Int.random(in: 0..<4, using: &random) == 0 {
        bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
        // A length that agrees lets the reader go on into what was cut.
        if bytes.count >= 16 { bytes.replaceSubrange(0..<2, with: [UInt8(bytes.count), 0]) }
      }
      for message in Message.parse(bytes[...]) ?? [] {
        readable += 1
        _ = (Route(message), InterfaceAddress(message), Acknowledgement(message), NetlinkEvent(message))
        _ = RouteEntry(message)?.covers(Wire.far[0])
        if let link = Link(message) { #expect(link.index > 0 && link.xdpPrograms.count <= bytes.count / 8) }
        if let neighbour = Neighbour(message) {
          #expect(IPAddress("\(neighbour.address)") == neighbour.address)
        }
      }
    }
    // Most mutations leave the frame intact, so the readers behind it were reached.
    #expect(readable > 10_000)
  }
}

/// Marsaglia's generator: the same numbers in every run.
private struct XorShift: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
