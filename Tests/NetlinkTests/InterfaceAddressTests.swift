// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Netlink

@Suite(.timeLimit(.minutes(10))) struct InterfaceAddressTests {
  @Test(arguments: [("192.0.2.80", UInt8(32)), ("2001:db8::80", 128)])
  func addressesComeAndGo(_ text: String, _ length: UInt8) async throws {
    let namespace = try NetworkNamespace()
    var socket = try namespace.inside { try NetlinkSocket() }
    let address = InterfaceAddress(interfaceIndex: 1, address: IPAddress(text)!, prefixLength: length)
    let before = try socket.addresses(interfaceIndex: 1)

    #expect(try socket.addAddress(address) == true)
    #expect(try Set(socket.addresses(interfaceIndex: 1)) == Set(before + [address]))
    let delivery = try await eventually {
      let route = try? socket.route(to: address.address)
      return route?.kind == .local ? route : nil
    }
    #expect(delivery != nil)
    #expect(try socket.addAddress(address) == false)

    #expect(try socket.removeAddress(address) == true)
    #expect(try socket.removeAddress(address) == false)
    #expect(try Set(socket.addresses(interfaceIndex: 1)) == Set(before))
  }

  @Test func onlyTheInterfacesOwnAddressesAreListed() throws {
    let wire = try Wire()
    let index = try wire.nearIndex()
    var socket = try wire.nearSocket()
    let addresses = try socket.addresses(interfaceIndex: index)
    #expect(addresses.contains { "\($0.address)" == "10.99.0.1" && $0.prefixLength == 24 })
    #expect(addresses.contains { "\($0.address)" == "fd99::1" && $0.prefixLength == 64 })
    #expect(!addresses.contains { "\($0.address)" == "127.0.0.1" })
  }

  @Test func theKernelsExplanationIsPassedOn() throws {
    let namespace = try NetworkNamespace()
    var socket = try namespace.inside { try NetlinkSocket() }
    let address = InterfaceAddress(
      interfaceIndex: 1, address: IPAddress("192.0.2.80")!, prefixLength: 33)
    let error = try #require(failure { try socket.addAddress(address) })
    #expect(error.operation == "add" && error.subject == "address 192.0.2.80/33 on interface 1")
    #expect(error.errno == EINVAL)
    #expect(error.kernelMessage == "ipv4: Invalid prefix length")
    #expect(
      "\(error)"
        == "cannot add address 192.0.2.80/33 on interface 1: Invalid argument (EINVAL): ipv4: Invalid prefix length"
    )
    // The socket serves on after an error.
    #expect(try socket.links().count == 1)
  }

  @Test func anAbsentInterfaceIsAnError() throws {
    let namespace = try NetworkNamespace()
    var socket = try namespace.inside { try NetlinkSocket() }
    let address = InterfaceAddress(
      interfaceIndex: 4711, address: IPAddress("192.0.2.80")!, prefixLength: 32)
    #expect(failure { try socket.addAddress(address) }?.errno == ENODEV)
  }
}
