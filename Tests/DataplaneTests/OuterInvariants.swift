// SPDX-License-Identifier: Apache-2.0
import Glibc
import TestSupport

/// What holds for the outer headers of every forwarded frame.
extension Invariants.Target {
  /// What is wrong with the outer headers of a forwarded frame; nil: nothing.
  func flaw(of output: Frame, around innerLength: Int, _ trafficClass: UInt8, isV4 isInnerV4: Bool) -> String?
  {
    let length = innerLength + overhead - (isV4 ? 20 : 40)
    let behind = output.ip + (isV4 ? 20 : 40)
    let number: UInt8
    switch encapsulation {
    case .ipip, .unknown: number = isInnerV4 ? 4 : 41
    case .l2: return output.type == (isInnerV4 ? 0x0800 : 0x86dd) ? nil : "Ethernet type"
    case .gre:
      number = 47
      if behind.be16(0) != 0 || behind.be16(2) != (isInnerV4 ? 0x0800 : 0x86dd) { return "GRE header" }
    case .gue, .gueHeader, .fou:
      number = 17
      if behind.be16(0) < 49_152 { return "outer source port" }
      if behind.be16(2) != Int(encapsulation.port(isInnerV4 ? .v4 : .v6)) { return "outer destination port" }
      if behind.be16(4) != length || behind.be16(6) != 0 { return "outer UDP length or checksum" }
      if case .gueHeader = encapsulation, behind.be16(8) != (isInnerV4 ? 4 : 41) || behind.be16(10) != 0 {
        return "GUE header"
      }
    }
    return isV4
      ? outerFlaw4(output, length, trafficClass, number) : outerFlaw6(output, length, trafficClass, number)
  }

  private func outerFlaw4(_ output: Frame, _ length: Int, _ trafficClass: UInt8, _ number: UInt8) -> String? {
    let outer = output.ip
    if output.type != 0x0800 || outer.byte(0) != 0x45 { return "outer version or header length" }
    if outer.be16(2) != length + 20 || outer.be16(2) > output.ipCount { return "outer length" }
    if outer.byte(1) != trafficClass { return "outer type of service" }
    if outer.be16(4) != 0 || outer.be16(6) != 0x4000 { return "outer id or fragment field" }
    if outer.byte(8) != 64 || outer.byte(9) != number { return "outer TTL or protocol" }
    if outer.checksum(20) != 0 { return "outer checksum" }
    if UInt64(outer.loadUnaligned(fromByteOffset: 16, as: UInt32.self)) != destination.0 {
      return "outer destination"
    }
    let sent = UInt64(outer.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
    return sent & ~mask == source.0 ? nil : "outer source"
  }

  private func outerFlaw6(_ output: Frame, _ length: Int, _ trafficClass: UInt8, _ number: UInt8) -> String? {
    let outer = output.ip
    if output.type != 0x86dd || outer.byte(0) >> 4 != 6 { return "outer version" }
    if outer.be16(4) != length || 40 + outer.be16(4) > output.ipCount { return "outer length" }
    if UInt8(truncatingIfNeeded: outer.be16(0) >> 4) != trafficClass { return "outer traffic class" }
    if outer.byte(6) != number || outer.byte(7) != 64 { return "outer next header or hop limit" }
    if outer.loadUnaligned(fromByteOffset: 24, as: UInt64.self) != destination.0
      || outer.loadUnaligned(fromByteOffset: 32, as: UInt64.self) != destination.1
    {
      return "outer destination"
    }
    return outer.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == source.0
      && outer.loadUnaligned(fromByteOffset: 16, as: UInt64.self) & ~mask == source.1
      ? nil : "outer source"
  }
}

/// A frame in memory, and where its IP packet begins behind at most two tags.
struct Frame {
  let frame: UnsafeRawPointer
  let framing: Int
  let ipCount: Int
  let type: Int

  init(_ frame: UnsafeRawPointer, _ count: Int) {
    self.frame = frame
    var framing = 14
    while framing < 22, framing + 4 <= count,
      frame.be16(framing - 2) == 0x8100 || frame.be16(framing - 2) == 0x88a8
    {
      framing += 4
    }
    self.framing = framing
    ipCount = count - framing
    type = frame.be16(framing - 2)
  }

  var ip: UnsafeRawPointer { frame + framing }

  /// The tags are those of the other frame; its innermost type may differ.
  func isTaggedAlike(_ other: UnsafeRawPointer) -> Bool {
    framing == 14 || memcmp(frame + 12, other + 12, framing - 14) == 0
  }
}

extension UnsafeRawPointer {
  @inline(__always)
  func byte(_ offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }

  @inline(__always)
  func be16(_ offset: Int) -> Int {
    Int(loadUnaligned(fromByteOffset: offset, as: UInt16.self).byteSwapped)
  }

  @inline(__always)
  func address(at offset: Int) -> UInt64 {
    UInt64(loadUnaligned(fromByteOffset: offset, as: UInt32.self))
      | UInt64(loadUnaligned(fromByteOffset: offset + 4, as: UInt16.self)) << 32
  }

  /// Zero where the checksum is right.
  func checksum(_ count: Int) -> UInt16 {
    var sum = 0
    var offset = 0
    while offset < count {
      sum += be16(offset)
      offset += 2
    }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    return ~UInt16(sum)
  }
}
