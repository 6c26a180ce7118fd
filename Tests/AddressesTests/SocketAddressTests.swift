// SPDX-License-Identifier: Apache-2.0
import Addresses
import Testing

@Suite("struct sockaddr")
struct SocketAddressTests {
  @Test(
    "An address is read back from its socket address", arguments: ["192.0.2.1", "2001:db8::1", "fe80::1"])
  func roundTrip(_ text: String) throws {
    let address = try #require(IPAddress(text))
    let (octets, isShortRefused) = address.withSocketAddress(port: 443, scope: 7) { pointer, size in
      let bytes = UnsafeRawBufferPointer(start: pointer, count: Int(size))
      let short = UnsafeRawBufferPointer(rebasing: bytes.dropLast())
      return (Array(bytes), IPAddress(socketAddress: short) == nil)
    }
    #expect(octets[2...3] == [1, 187])
    #expect(octets.withUnsafeBytes { IPAddress(socketAddress: $0) } == address)
    #expect(isShortRefused)
    if address.family == .v6 { #expect(octets.suffix(4) == [7, 0, 0, 0]) }
  }

  @Test("Other families are refused")
  func otherFamilies() {
    var octets = [UInt8](repeating: 0, count: 128)
    octets[0] = 1
    #expect(octets.withUnsafeBytes { IPAddress(socketAddress: $0) } == nil)
    #expect(AddressFamily(socketFamily: 1) == nil)
    #expect(AddressFamily.allCases.allSatisfy { AddressFamily(socketFamily: $0.socketFamily) == $0 })
  }
}
