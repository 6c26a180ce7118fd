// SPDX-License-Identifier: Apache-2.0
import Addresses
import Testing

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
