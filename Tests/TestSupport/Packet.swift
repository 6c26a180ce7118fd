// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// A packet as a sentence, from the outside in:
/// `Packet.ethernet().vlan(5).ipv4(from: client, to: vip).tcp(from: 40000, to: 80, flags: .syn).payload(100)`.
///
/// Lengths, protocol numbers and checksums are right unless a field is given.
public struct Packet: Sendable {
  var layers: [any Layer] = []
  var trailer: [UInt8] = []
  var minimumCount = 0

  /// Nothing yet: an IP packet without a frame, such as an ICMP error quotes, begins here.
  public static let bare = Packet()

  /// The frame, without the checksum that the wire adds.
  public var bytes: [UInt8] {
    var inner: [UInt8] = []
    for (index, layer) in layers.enumerated().reversed() {
      let next = index + 1 < layers.count ? layers[index + 1] : nil
      inner = layer.bytes(around: inner, next: next, within: layers[..<index])
    }
    inner += trailer
    return inner + [UInt8](repeating: 0, count: max(0, minimumCount - inner.count))
  }

  /// What the Ethernet header and the tags carry, padding of the frame included.
  public var withoutEthernet: [UInt8] { Array(bytes.dropFirst(framingCount)) }

  /// The octets of the Ethernet header and the tags.
  var framingCount: Int {
    layers.reduce(0) { $0 + ($1 is EthernetHeader ? 14 : $1 is VLANTag ? 4 : 0) }
  }

  func adding(_ layer: any Layer) -> Packet {
    var packet = self
    packet.layers.append(layer)
    return packet
  }

  // MARK: - Frame

  /// From the router to the balancer, unless said otherwise.
  public static func ethernet(
    to destination: HardwareAddress = .balancer, from source: HardwareAddress = .router, type: UInt16? = nil
  ) -> Packet {
    Packet.bare.adding(EthernetHeader(destination: destination, source: source, type: type))
  }

  public func vlan(_ id: UInt16, priority: UInt8 = 0, tpid: UInt16 = 0x8100) -> Packet {
    adding(VLANTag(tpid: tpid, control: UInt16(priority) << 13 | id))
  }

  /// Zeros behind the packet until the frame has `count` octets, as Ethernet does up to 60.
  public func padded(to count: Int) -> Packet {
    var packet = self
    packet.minimumCount = count
    return packet
  }

  /// Octets behind the packet that no length field counts.
  public func trailing(_ octets: [UInt8]) -> Packet {
    var packet = self
    packet.trailer += octets
    return packet
  }

  // MARK: - Payload

  /// `count` octets, each different from its neighbours.
  public func payload(_ count: Int) -> Packet {
    octets((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) })
  }

  /// These octets, as they are.
  public func octets(_ octets: [UInt8]) -> Packet { adding(RawOctets(octets: octets)) }

  /// What an ICMP error quotes of another packet: its first octets from the IP header on.
  public func quoting(_ packet: Packet, octets count: Int = .max) -> Packet {
    octets(Array(packet.withoutEthernet.prefix(count)))
  }
}

/// One header, or what is behind the last one.
protocol Layer: Sendable {
  /// How an IP header names this layer.
  var protocolNumber: UInt8? { get }
  /// How an Ethernet header names this layer.
  var etherType: UInt16? { get }
  /// The layer and everything inside it. `outer`: the layers around it, outermost first.
  func bytes(around inner: [UInt8], next: (any Layer)?, within outer: ArraySlice<any Layer>) -> [UInt8]
}

extension Layer {
  var protocolNumber: UInt8? { nil }
  var etherType: UInt16? { nil }
}

struct RawOctets: Layer {
  var octets: [UInt8]

  func bytes(around inner: [UInt8], next: (any Layer)?, within: ArraySlice<any Layer>) -> [UInt8] {
    octets + inner
  }
}

struct EthernetHeader: Layer {
  var destination: HardwareAddress
  var source: HardwareAddress
  var type: UInt16?

  func bytes(around inner: [UInt8], next: (any Layer)?, within: ArraySlice<any Layer>) -> [UInt8] {
    destination.octets + source.octets + (type ?? next?.etherType ?? 0x88b5).octets + inner
  }
}

struct VLANTag: Layer {
  var tpid: UInt16
  var control: UInt16

  var etherType: UInt16? { tpid }

  func bytes(around inner: [UInt8], next: (any Layer)?, within: ArraySlice<any Layer>) -> [UInt8] {
    control.octets + (next?.etherType ?? 0x88b5).octets + inner
  }
}

extension FixedWidthInteger {
  /// In network order.
  var octets: [UInt8] {
    stride(from: Self.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: self >> Self($0)) }
  }
}

/// The Internet checksum (RFC 1071) of octets in network order; an odd one out counts as if a zero followed.
public func internetChecksum(_ octets: [UInt8]) -> UInt16 {
  var sum: UInt64 = 0
  for index in stride(from: 0, to: octets.count, by: 2) {
    sum += UInt64(octets[index]) << 8 | (index + 1 < octets.count ? UInt64(octets[index + 1]) : 0)
  }
  while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
  return ~UInt16(sum)
}

extension Packet {
  /// The frame alone, with its tags, between other parties.
  public func framing(to destination: HardwareAddress, from source: HardwareAddress) -> Packet {
    var packet = Packet.bare
    for layer in layers {
      if var ethernet = layer as? EthernetHeader {
        ethernet.destination = destination
        ethernet.source = source
        packet.layers.append(ethernet)
      } else if layer is VLANTag {
        packet.layers.append(layer)
      }
    }
    return packet
  }
}
