// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("IP addresses")
struct IPAddressTests {
  @Test(
    "Text is read, and written in the canonical form of RFC 5952",
    arguments: [
      ("0.0.0.0", "0.0.0.0"), ("192.0.2.1", "192.0.2.1"), ("255.255.255.255", "255.255.255.255"),
      ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:db8::1", "2001:db8::1"),
      // §4.1 leading zeros, §4.3 lower case.
      ("2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"), ("2001:DB8::00aB", "2001:db8::ab"),
      // §4.2.1 as much as possible, §4.2.2 not one group alone, §4.2.3 the longest run, the first of equal ones.
      ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"), ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
      ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
      ("0:0:1:0:0:0:0:0", "0:0:1::"), ("0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"),
      ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
      // RFC 4291 §2.2 (3): the last 32 bits in decimal; RFC 5952 §5: written so where the prefix says it.
      ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::ffff:c000:201", "::ffff:192.0.2.1"),
      ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"),
    ])
  func text(read: String, written: String) throws {
    let address = try #require(IPAddress(read))
    #expect(address.description == written)
    #expect(IPAddress(written) == address)
  }

  @Test(
    "Bad text is refused",
    arguments: [
      "", " ", "1", "1.2.3", "1.2.3.", ".1.2.3", "1.2.3.4.5", "1..3.4", "01.2.3.4", "1.2.3.00", "1.2.3.256",
      "1.2.3.-4", "1.2.3.+4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.0x4", "1.2.3.4/32", "1.2.3.\u{0664}",
      ":", ":::", "1", "1:", ":1", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::",
      "::1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "12345::", "g::", "::-1", "::+1", "fe80::1%eth0", "[::1]",
      "::/0", "::1 ", "1.2.3.4::", "1.2.3.4::1", "::1.2.3.4:1", "::1.2.3", "::01.2.3.4", "1.2.3.4:1",
      "1:2:3:4:5:6:7:1.2.3.4", "::\u{ff11}", "::\r\n",
    ])
  func badText(text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test("Random addresses come back from text, octets and mapped octets")
  func roundTrips() {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    for _ in 0..<5000 {
      let address = Self.address(&random)
      #expect(IPAddress(address.description) == address, "seed \(seed)")
      #expect(IPAddress(family: address.family, octets: address.octets) == address, "seed \(seed)")
      let isMapped = address.family == .v6 && address.bits >> 32 == 0xffff
      if !isMapped { #expect(IPAddress(mappedOctets: address.mappedOctets) == address, "seed \(seed)") }
      #expect(address.octets.count == address.family.bitWidth / 8)
      #expect(address.mappedOctets.count == 16)
    }
  }

  /// Many zero groups, so that `::` is met in all places.
  static func address(_ random: inout RandomSource) -> IPAddress {
    guard random.chance(70) else { return IPAddress(family: .v4, bits: UInt128(random.next() >> 32)) }
    let groups = (0..<8).map { _ in random.chance(50) ? 0 : random.next() & (random.chance(50) ? 0xf : 0xffff)
    }
    return IPAddress(family: .v6, bits: groups.reduce(0) { $0 << 16 | UInt128($1) })
  }

  @Test("Octets are in network order")
  func octets() throws {
    #expect(IPAddress.v4(192, 0, 2, 1).octets == [192, 0, 2, 1])
    #expect(IPAddress.v4(192, 0, 2, 1).bits == 0xc000_0201)
    let v6 = try #require(IPAddress("2001:db8::1"))
    #expect(v6.octets == [0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1])
    #expect(v6.mappedOctets == v6.octets)
    #expect(
      IPAddress.v4(192, 0, 2, 1).mappedOctets
        == [UInt8](repeating: 0, count: 10) + [255, 255, 192, 0, 2, 1])
    #expect(IPAddress(mappedOctets: IPAddress.v4(10, 0, 0, 1).mappedOctets) == .v4(10, 0, 0, 1))
    #expect(IPAddress(family: .v4, bits: .max) == .v4(255, 255, 255, 255))
  }

  @Test("IPv4 comes before IPv6, then the number counts, not the text")
  func ordering() throws {
    let texts = ["9.0.0.0", "10.0.0.0", "255.0.0.0", "::", "::9", "::10", "1::", "ff::"]
    let sorted = try texts.map { try #require(IPAddress($0)) }
    #expect(sorted.reversed().sorted() == sorted)
  }

  @Test(
    "Unicast addresses",
    arguments: [
      ("10.0.0.1", true), ("1.0.0.0", true), ("223.255.255.255", true), ("169.254.0.1", true),
      ("2001:db8::1", true), ("fe80::1", true), ("fc00::1", true), ("::2", true),
      ("0.0.0.0", false), ("0.1.2.3", false), ("127.0.0.1", false), ("127.255.255.255", false),
      ("224.0.0.1", false), ("239.1.1.1", false), ("240.0.0.1", false), ("255.255.255.255", false),
      ("::", false), ("::1", false), ("ff00::", false), ("ff02::1", false), ("::ffff:10.0.0.1", false),
    ])
  func unicast(text: String, isUnicast: Bool) throws {
    #expect(try #require(IPAddress(text)).isUnicast == isUnicast)
  }
}

@Suite("IP prefixes")
struct IPPrefixTests {
  @Test(
    "Text is read and written",
    arguments: [
      ("10.0.0.0/8", "10.0.0.0/8"), ("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"),
      ("192.0.2.1", "192.0.2.1/32"), ("192.0.2.1/32", "192.0.2.1/32"), ("2001:DB8::/32", "2001:db8::/32"),
      ("2001:db8::1", "2001:db8::1/128"), ("8000::/1", "8000::/1"), ("::1/128", "::1/128"),
    ])
  func text(read: String, written: String) throws {
    let prefix = try #require(IPPrefix(read))
    #expect(prefix.description == written)
    #expect(IPPrefix(written) == prefix)
  }

  @Test(
    "Bad text is refused, bits after the length too",
    arguments: [
      "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/00",
      "10.0.0.0/8/8", "10.0.0.0/8 ", "10.0.0.1/8", "10.128.0.0/8", "128.0.0.0/0", "::/129", "::1/127",
      "::1/0",
      "10.0.0.0/99999999999999999999", "10.0.0.0/\u{0668}",
    ])
  func badText(text: String) {
    #expect(IPPrefix(text) == nil)
  }

  @Test("A prefix holds what agrees in its bits, of its family")
  func contains() throws {
    let v4 = try #require(IPPrefix("10.64.0.0/10"))
    #expect(v4.contains(.v4(10, 64, 0, 0)))
    #expect(v4.contains(.v4(10, 127, 255, 255)))
    #expect(!v4.contains(.v4(10, 128, 0, 0)))
    #expect(!v4.contains(.v4(10, 63, 255, 255)))
    let all = try #require(IPPrefix("::/0"))
    #expect(all.contains(try #require(IPAddress("ffff::"))))
    #expect(!all.contains(.v4(0, 0, 0, 0)))
  }

  @Test("Random prefixes come back from text and hold their own addresses")
  func roundTrips() throws {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    for _ in 0..<2000 {
      let address = IPAddressTests.address(&random)
      let length = Int.random(in: 0...address.family.bitWidth, using: &random)
      let hostBits = UInt128(address.family.bitWidth - length)
      let network = IPAddress(
        family: address.family, bits: hostBits == 128 ? 0 : (address.bits >> hostBits) << hostBits)
      let prefix = try #require(IPPrefix(network, length: length), "seed \(seed)")
      #expect(prefix.contains(address), "seed \(seed)")
      #expect(IPPrefix(prefix.description) == prefix, "seed \(seed)")
      #expect(prefix.hostMask & network.bits == 0, "seed \(seed)")
    }
  }
}
