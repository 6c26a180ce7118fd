// SPDX-License-Identifier: Apache-2.0
internal import CNetlink

/// Builds one netlink message: header, the family's fixed struct, attributes. Everything starts at a multiple
/// of four octets; numbers are in host order, as the kernel reads them.
struct MessageWriter {
  /// The message so far, complete but for the sequence number.
  private(set) var bytes: [UInt8] = []
  /// Whether the answer ends with an acknowledgement, or with the end of a list.
  let isAcknowledged: Bool
  let isForList: Bool

  /// - Parameters:
  ///   - type: an `RTM_` or `NLMSG_` constant.
  ///   - flags: `NLM_F_` constants; `NLM_F_REQUEST` is for the caller to give.
  ///   - body: the fixed struct that the type asks for, such as `ndmsg`.
  init(type: some BinaryInteger, flags: some BinaryInteger, body: some BitwiseCopyable) {
    isForList = Int(flags) & Int(NLM_F_DUMP) == Int(NLM_F_DUMP)
    isAcknowledged = isForList || Int(flags) & Int(NLM_F_ACK) != 0
    var header = nlmsghdr()
    header.nlmsg_type = UInt16(type)
    header.nlmsg_flags = UInt16(flags)
    appendOctets(of: header)
    appendOctets(of: body)
    finish()
  }

  /// Appends an attribute whose value is a number or a C struct.
  mutating func append(_ type: some BinaryInteger, _ value: some BitwiseCopyable) {
    nest(type, flag: 0) { $0.appendOctets(of: value) }
  }

  /// Appends an attribute whose value is given octet by octet, for example an address.
  mutating func append(_ type: some BinaryInteger, octets: some Sequence<UInt8>) {
    nest(type, flag: 0) { $0.bytes.append(contentsOf: octets) }
  }

  /// Appends an attribute whose value is text; the kernel's form ends with a zero octet.
  mutating func append(_ type: some BinaryInteger, text: String) {
    append(type, octets: Array(text.utf8) + [0])
  }

  /// Appends an attribute whose value is the attributes that `fill` appends.
  mutating func nest(_ type: some BinaryInteger, _ fill: (inout MessageWriter) -> Void) {
    nest(type, flag: UInt16(NLA_F_NESTED), fill)
  }

  /// The message with the number by which its answers are recognised.
  func numbered(_ sequence: UInt32) -> [UInt8] {
    var numbered = bytes
    numbered.store(sequence, at: MemoryLayout<nlmsghdr>.offset(of: \.nlmsg_seq)!)
    return numbered
  }

  private mutating func nest(_ type: some BinaryInteger, flag: UInt16, _ fill: (inout MessageWriter) -> Void)
  {
    let start = bytes.count
    appendOctets(of: nlattr(nla_len: 0, nla_type: UInt16(type) | flag))
    fill(&self)
    // The length counts the attribute's header but not the padding behind the value.
    bytes.store(UInt16(bytes.count - start), at: start)
    finish()
  }

  private mutating func finish() {
    bytes.append(contentsOf: repeatElement(0, count: aligned(bytes.count) - bytes.count))
    bytes.store(UInt32(bytes.count), at: 0)
  }

  private mutating func appendOctets(of value: some BitwiseCopyable) {
    unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
  }
}

/// `length` rounded up to netlink's alignment (`NLMSG_ALIGN`, `NLA_ALIGN`).
func aligned(_ length: Int) -> Int {
  (length + 3) & ~3
}

extension [UInt8] {
  fileprivate mutating func store(_ value: some FixedWidthInteger & BitwiseCopyable, at offset: Int) {
    unsafe withUnsafeMutableBytes {
      unsafe $0.storeBytes(of: value, toByteOffset: offset, as: type(of: value))
    }
  }
}
