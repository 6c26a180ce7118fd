// SPDX-License-Identifier: Apache-2.0
internal import CNetlink

/// One netlink message as received. Nothing in here trusts a length that the bytes claim.
struct Message {
  let type: Int
  let flags: Int32
  let sequence: UInt32
  /// The port of the socket whose request this answers; 0 in notifications.
  let port: UInt32
  /// What follows the header, without padding.
  let payload: ArraySlice<UInt8>

  /// Splits one datagram into its messages. `nil` when a length in it cannot be true.
  static func parse(_ datagram: ArraySlice<UInt8>) -> [Message]? {
    var messages: [Message] = []
    var rest = datagram
    while !rest.isEmpty {
      guard let header = rest.loaded(nlmsghdr.self) else { return nil }
      let length = Int(header.nlmsg_len)
      guard length >= MemoryLayout<nlmsghdr>.size, length <= rest.count else { return nil }
      messages.append(
        Message(
          type: Int(header.nlmsg_type), flags: Int32(header.nlmsg_flags), sequence: header.nlmsg_seq,
          port: header.nlmsg_pid, payload: rest.prefix(length).dropFirst(MemoryLayout<nlmsghdr>.size)))
      rest = rest.dropFirst(aligned(length))
    }
    return messages
  }

  /// The fixed struct at the start of the payload and the attributes behind it.
  func body<Body: BitwiseCopyable>(_: Body.Type) -> (Body, Attributes)? {
    guard let body = payload.loaded(Body.self) else { return nil }
    return (body, Attributes(bytes: payload.dropFirst(aligned(MemoryLayout<Body>.size))))
  }
}

/// The attributes in a stretch of bytes, up to the end or the first that cannot be true.
struct Attributes: Sequence, IteratorProtocol {
  var bytes: ArraySlice<UInt8>

  mutating func next() -> Attribute? {
    guard let header = bytes.loaded(nlattr.self) else { return nil }
    let length = Int(header.nla_len)
    guard length >= MemoryLayout<nlattr>.size, length <= bytes.count else { return nil }
    // The two upper bits say how the value is encoded, not what it is.
    let type = Int32(header.nla_type) & ~(NLA_F_NESTED | NLA_F_NET_BYTEORDER)
    defer { bytes = bytes.dropFirst(aligned(length)) }
    return Attribute(type: Int(type), value: bytes.prefix(length).dropFirst(MemoryLayout<nlattr>.size))
  }
}

/// One attribute. Each reading of the value is `nil` when the value is too short or of the wrong form for it.
struct Attribute {
  let type: Int
  let value: ArraySlice<UInt8>

  var uint32: UInt32? { value.loaded(UInt32.self) }
  var attributes: Attributes { Attributes(bytes: value) }
  var text: String { String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
  var hardwareAddress: HardwareAddress? { HardwareAddress(octets: value) }

  func address(_ family: AddressFamily) -> IPAddress? {
    value.count * 8 == family.bitWidth ? IPAddress(family: family, octets: value) : nil
  }
}

extension ArraySlice<UInt8> {
  /// The value whose octets, in host order, the slice starts with. `nil` when the slice is shorter.
  func loaded<Value: BitwiseCopyable>(_: Value.Type) -> Value? {
    guard count >= MemoryLayout<Value>.size else { return nil }
    return unsafe withUnsafeBytes { unsafe $0.loadUnaligned(as: Value.self) }
  }
}
