// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import Glibc
import LoadBalancing
import TestSupport
import Testing

/// A segment that leaves a backend, and the MSS that it leaves with.
struct LeavingSegment: Sendable, CustomTestStringConvertible {
  var name: String
  var family: AddressFamily
  var source: IPAddress
  var flags: TCPFlags = [.syn, .ack]
  var options: [UInt8]
  /// nil: it leaves as it is.
  var expected: [UInt8]?
  var dataOffset: UInt8?

  var testDescription: String { "\(family): \(name)" }

  init(
    _ name: String, _ family: AddressFamily, _ options: [UInt8], becomes expected: [UInt8]? = nil,
    from source: IPAddress? = nil, flags: TCPFlags = [.syn, .ack], dataOffset: UInt8? = nil
  ) {
    (self.name, self.family, self.options, self.expected) = (name, family, options, expected)
    (self.source, self.flags, self.dataOffset) = (source ?? family.vip, flags, dataOffset)
  }

  func frame(_ options: [UInt8], in start: Packet = .ethernet(), checksum: UInt16? = nil) -> [UInt8] {
    start.ip(from: source, to: family.client).tcp(
      from: 80, to: 40_000, flags: flags, options: options, dataOffset: dataOffset, checksum: checksum
    ).bytes
  }

  /// 1400 for IPv4 and 1380 for IPv6.
  static func limit(_ family: AddressFamily) -> UInt16 { family == .v4 ? 1400 : 1380 }

  static func mss(_ octets: UInt16) -> [UInt8] { [2, 4, UInt8(octets >> 8), UInt8(octets & 255)] }

  static let all: [LeavingSegment] = AddressFamily.allCases.flatMap(cases)

  private static func cases(_ family: AddressFamily) -> [LeavingSegment] {
    let limit = limit(family)
    let (high, low) = (mss(1460), mss(limit))
    let rest: [UInt8] = [4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7]
    func odd(_ option: [UInt8]) -> [UInt8] { [1] + option + [1, 1, 1] }
    return [
      LeavingSegment("the option first", family, high, becomes: low),
      LeavingSegment("as Linux sends it", family, high + rest, becomes: low + rest),
      LeavingSegment("the option last", family, rest + high, becomes: rest + low),
      LeavingSegment("at an odd offset", family, odd(high), becomes: odd(low)),
      LeavingSegment(
        "at an odd offset behind an odd option", family, [254, 3, 9] + high + [0],
        becomes: [254, 3, 9] + low + [0]),
      LeavingSegment("65535", family, mss(65_535), becomes: low),
      LeavingSegment("an octet too many", family, mss(limit + 1), becomes: low),
      LeavingSegment(
        "forty octets of options", family, [UInt8](repeating: 1, count: 36) + high,
        becomes: [UInt8](repeating: 1, count: 36) + low),
      LeavingSegment("a SYN without ACK", family, high, becomes: low, flags: .syn),
      LeavingSegment("the limit itself", family, low),
      LeavingSegment("less than the limit", family, mss(536)),
      LeavingSegment("0", family, mss(0)),
      LeavingSegment("without options", family, []),
      LeavingSegment("without this option", family, rest),
      LeavingSegment("behind the end of options", family, [1, 1, 1, 0] + high),
      LeavingSegment("of length 3", family, [2, 3, 5, 0xb4]),
      LeavingSegment("of length 6", family, [2, 6, 5, 0xb4, 1, 1, 1, 1]),
      LeavingSegment("cut by the header's end", family, [1, 2, 4, 5]),
      LeavingSegment("behind an option of length 0", family, [254, 0, 1, 1] + high),
      LeavingSegment("behind an option of length 1", family, [254, 1, 1, 1] + high),
      LeavingSegment("behind an option that is too long", family, [254, 40, 1, 1] + high),
      LeavingSegment("beyond the data offset", family, high, dataOffset: 5),
      LeavingSegment("a data offset of 4", family, high, dataOffset: 4),
      LeavingSegment("from another address of the host", family, high, from: family.tunnelEnd),
      LeavingSegment("no SYN", family, high, flags: .ack),
      LeavingSegment("RST and ACK", family, high, flags: [.rst, .ack]),
    ]
  }
}

@Suite("The MSS that backends announce", .serialized)
struct SegmentTests {
  private final class Clamp: @unchecked Sendable {
    let program: BPFProgram
    private let lowered: PerCPUMap<UInt32, UInt64>

    init() throws {
      guard geteuid() == 0 else { throw RootNeeded() }
      let loaded = try BPFObject.open(tested(.clamp_mss)).load()
      program = try loaded.program("clamp_mss")
      lowered = try loaded.perCPUMap("mss_lowered")
      let vips: BPFMap<host_address, UInt32> = try loaded.map("vips")
      for family in AddressFamily.allCases { try vips.update(host_address(family.vip), to: 0) }
      let limits: BPFMap<UInt32, mss_limits> = try loaded.map("mss_limits")
      try limits.update(
        0,
        to: mss_limits(ipv4: UInt32(LeavingSegment.limit(.v4)), ipv6: UInt32(LeavingSegment.limit(.v6))))
    }

    /// What leaves, and how many segments were counted.
    func run(_ frame: [UInt8]) throws -> (output: [UInt8], counted: UInt64) {
      let before = try count()
      let run = try program.testRun(input: frame)
      #expect(run.returnValue == .max, "other programs at the hook see it, too")
      return (run.output, try count() - before)
    }

    private func count() throws -> UInt64 { (try lowered.lookup(0) ?? []).reduce(0, +) }
  }

  private static let clamp = Result { try Clamp() }

  @Test("leaves with", arguments: LeavingSegment.all)
  func leaves(_ segment: LeavingSegment) throws {
    let clamp = try Self.clamp.get()
    let frame = segment.frame(segment.options)
    let outcome = try clamp.run(frame)
    // The expected frame has a checksum of its own.
    let expected = segment.expected.map { segment.frame($0) } ?? frame
    #expect(outcome.output == expected)
    #expect(outcome.counted == (segment.expected == nil ? 0 : 1))
  }

  @Test("a wrong checksum stays wrong", arguments: AddressFamily.allCases)
  func wrongChecksum(_ family: AddressFamily) throws {
    let segment = LeavingSegment("", family, LeavingSegment.mss(1460))
    let right = segment.frame(LeavingSegment.mss(LeavingSegment.limit(family)))
    let output = try Self.clamp.get().run(segment.frame(segment.options, checksum: 0x1234)).output
    #expect(output != right && output.count == right.count)
    let checksum = 14 + family.headerLength + 16
    #expect(
      output[..<checksum] == right[..<checksum] && output[(checksum + 2)...] == right[(checksum + 2)...])
  }

  @Test("cut anywhere, it leaves as it is", arguments: AddressFamily.allCases)
  func cut(_ family: AddressFamily) throws {
    let segment = LeavingSegment("", family, LeavingSegment.mss(1460))
    let frame = segment.frame(segment.options)
    for count in (14 + family.headerLength)..<frame.count {
      let outcome = try Self.clamp.get().run(Array(frame.prefix(count)))
      #expect(outcome.output == Array(frame.prefix(count)) && outcome.counted == 0, "\(count) octets")
    }
  }

  @Test("other packets leave as they are", arguments: AddressFamily.allCases)
  func others(_ family: AddressFamily) throws {
    let start = Packet.ethernet().ip(from: family.vip, to: family.client)
    let options = LeavingSegment.mss(1460)
    var packets = [
      start.udp(from: 80, to: 40_000).payload(60), start.echoReply(),
      Packet.ethernet(type: 0x0806).payload(46),
    ]
    if family == .v4 {
      packets.append(
        Packet.ethernet().ipv4(from: family.vip, to: family.client, options: [1, 1, 1, 0])
          .tcp(from: 80, to: 40_000, flags: [.syn, .ack], options: options))
      packets.append(
        Packet.ethernet().ipv4(from: family.vip, to: family.client, dontFragment: false, moreFragments: true)
          .tcp(from: 80, to: 40_000, flags: [.syn, .ack], options: options))
    } else {
      packets.append(
        start.extensionHeader(.destinationOptions)
          .tcp(from: 80, to: 40_000, flags: [.syn, .ack], options: options))
    }
    for packet in packets {
      let outcome = try Self.clamp.get().run(packet.bytes)
      #expect(outcome.output == packet.bytes && outcome.counted == 0)
    }
  }
}
