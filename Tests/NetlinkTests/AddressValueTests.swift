// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Netlink

@Suite struct HardwareAddressTests {
  @Test func textAndOctetsAgree() throws {
    let address = try #require(HardwareAddress("02:00:5E:10:0f:ff"))
    #expect(address.octets == [0x02, 0x00, 0x5e, 0x10, 0x0f, 0xff])
    #expect(address.description == "02:00:5e:10:0f:ff")
    #expect(HardwareAddress(octets: address.octets) == address)
    #expect(HardwareAddress(bits: address.bits | 1 << 60) == address)
  }

  @Test(arguments: [
    "", "02:00:5e:10:0f", "02:00:5e:10:0f:ff:00", "02:00:5e:10:0f:fg", "2:0:5e:10:f:ff", "02-00-5e-10-0f-ff",
    "+2:00:5e:10:0f:ff",
    ":::::", "02:00:5e:10:0f:ff:",
  ])
  func otherTextIsRefused(_ text: String) {
    #expect(HardwareAddress(text) == nil)
  }

  @Test func groupsAreKnownByTheirFirstOctet() {
    #expect(HardwareAddress("ff:ff:ff:ff:ff:ff")?.isGroup == true)
    #expect(HardwareAddress("33:33:00:00:00:01")?.isGroup == true)
    #expect(HardwareAddress("02:00:00:00:00:01")?.isGroup == false)
  }
}

@Suite struct NetworkAddressTests {
  @Test func bitsOctetsAndTextAgree() throws {
    let v4 = try #require(NetworkAddress("192.0.2.1"))
    #expect(v4 == NetworkAddress(family: .v4, bits: 0xc000_0201))
    #expect(v4.octets == [192, 0, 2, 1])
    #expect(v4.description == "192.0.2.1")
    let v6 = try #require(NetworkAddress("2001:DB8::1"))
    #expect(v6 == NetworkAddress(family: .v6, bits: 0x2001_0db8 << 96 | 1))
    #expect(v6.octets == [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1])
    #expect(v6.description == "2001:db8::1")
    #expect(NetworkAddress(family: .v6, octets: v6.octets) == v6)
  }

  @Test(arguments: ["", "192.0.2", "192.0.2.256", "2001:db8::1%eth0", "fe80::/64", ":"])
  func otherTextIsRefused(_ text: String) {
    #expect(NetworkAddress(text) == nil)
  }

  @Test func octetsMustFitTheFamily() {
    #expect(NetworkAddress(family: .v4, octets: [1, 2, 3]) == nil)
    #expect(NetworkAddress(family: .v6, octets: [1, 2, 3, 4]) == nil)
    #expect(NetworkAddress(family: .v4, bits: 1 << 32 | 7) == NetworkAddress(family: .v4, bits: 7))
  }
}
