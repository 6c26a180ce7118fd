// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Messages of the Domain Name System (RFC 1035 §4): a query to send, and a strict, bounded reader of what comes back.
struct DNSMessage: Equatable {
  /// Why a message does not answer a query.
  enum Fault: Error, Equatable {
    /// It has another identifier or another question, like a late answer to an earlier query.
    case foreign
    /// It is malformed, with a short reason such as `a name is cut off`.
    case malformed(String)
  }

  /// The low four bits of the flags.
  var responseCode: UInt8
  /// Whether the server truncated the message (TC).
  var isTruncated: Bool
  /// The addresses in the A and AAAA records of the answer section.
  var addresses: [IPAddress]

  static let headerLength = 12
  /// The maximum number of records to read; no answer to one question needs more.
  private static let mostRecords = 256

  /// A recursive query of class IN; `nil` if the name is invalid (labels of 1 to 63 octets, 255 in all).
  static func query(_ question: DNSQuestion, identifier: UInt16) -> [UInt8]? {
    guard let name = encoded(question.name) else { return nil }
    let recursionDesired: UInt16 = 0x0100
    return words([identifier, recursionDesired, 1, 0, 0, 0]) + name + words([question.type.number, 1])
  }

  /// Reads an answer to a query.
  /// - Parameter query: the result of ``query(_:identifier:)``.
  init(answering query: [UInt8], _ octets: some Collection<UInt8>) throws(Fault) {
    var reader = Reader(Array(octets))
    let identifier = try reader.word()
    guard identifier == UInt16(query[0]) << 8 | UInt16(query[1]) else { throw .foreign }
    let flags = try reader.word()
    guard flags & 0x8000 != 0 else { throw .malformed("a query instead of an answer") }
    guard flags & 0x7800 == 0 else { throw .malformed("an answer of another kind than asked for") }
    responseCode = UInt8(flags & 0xf)
    isTruncated = flags & 0x0200 != 0
    addresses = []

    let questions = try reader.word()
    let answers = Int(try reader.word())
    let others = Int(try reader.word()) + Int(try reader.word())
    guard questions <= 1 else { throw .malformed("\(questions) questions") }
    guard answers + others <= Self.mostRecords else { throw .malformed("\(answers + others) records") }
    if questions == 1 {
      try reader.skip(theQuestionOf: query)
    } else if responseCode == 0 {
      // Servers that refuse or fail may omit the question; RFC 1035 §4.1.1 does not require it.
      throw .malformed("no question")
    }
    for index in 0..<(answers + others) {
      let address = try reader.record()
      if index < answers, let address { addresses.append(address) }
    }
    guard reader.isAtEnd else { throw .malformed("octets behind the last record") }
  }

  private static func words(_ words: [UInt16]) -> [UInt8] {
    words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
  }

  private static func encoded(_ name: String) -> [UInt8]? {
    if name == "." { return [0] }
    var octets: [UInt8] = []
    for label in name.split(separator: ".", omittingEmptySubsequences: false) {
      guard (1...63).contains(label.utf8.count) else { return nil }
      octets += [UInt8(label.utf8.count)] + label.utf8
    }
    return octets.count <= 254 ? octets + [0] : nil
  }
}

/// A reader that moves forward and never beyond the end.
private struct Reader {
  /// The maximum number of compression pointers: chains of them could make a small message slow to read.
  private static let mostPointersInName = 64
  private static let mostPointers = 1024

  private let octets: [UInt8]
  private var position = 0
  private var pointers = 0

  init(_ octets: [UInt8]) { self.octets = octets }

  var isAtEnd: Bool { position == octets.count }

  mutating func octet() throws(DNSMessage.Fault) -> UInt8 {
    guard position < octets.count else { throw .malformed("cut off") }
    defer { position += 1 }
    return octets[position]
  }

  mutating func word() throws(DNSMessage.Fault) -> UInt16 {
    UInt16(try octet()) << 8 | UInt16(try octet())
  }

  private mutating func octets(_ count: Int) throws(DNSMessage.Fault) -> ArraySlice<UInt8> {
    guard count <= octets.count - position else { throw .malformed("cut off") }
    defer { position += count }
    return octets[position..<(position + count)]
  }

  /// The question must equal that of the query, except for the case of letters.
  mutating func skip(theQuestionOf query: [UInt8]) throws(DNSMessage.Fault) {
    let asked = query.dropFirst(DNSMessage.headerLength)
    let name = try name()
    let askedName = asked.dropLast(4)
    guard name == askedName.map(lowercased), try octets(4).elementsEqual(asked.suffix(4)) else {
      throw .foreign
    }
  }

  /// - Returns: the address that the record holds, if it is one of class IN.
  mutating func record() throws(DNSMessage.Fault) -> IPAddress? {
    _ = try name()
    let type = try word()
    let recordClass = try word()
    _ = try octets(4)
    let data = try octets(Int(try word()))
    guard recordClass == 1 else { return nil }
    switch type {
    case DNSQuestion.RecordType.a.number:
      guard data.count == 4 else { throw .malformed("an A record of \(data.count) octets") }
      return IPAddress(family: .v4, octets: data)
    case DNSQuestion.RecordType.aaaa.number:
      guard data.count == 16 else { throw .malformed("an AAAA record of \(data.count) octets") }
      return IPAddress(family: .v6, octets: data)
    default: return nil
    }
  }

  /// A name with its lengths and final zero, in lower case. A pointer must lead to a position before everything read of
  /// the name so far, so that every name ends.
  private mutating func name() throws(DNSMessage.Fault) -> [UInt8] {
    var name: [UInt8] = []
    var barrier = position
    var behind: Int?
    let most = min(pointers + Self.mostPointersInName, Self.mostPointers)
    while true {
      let length = try octet()
      switch length >> 6 {
      case 0 where length == 0:
        if let behind { position = behind }
        return name + [0]
      case 0:
        name.append(length)
        name += try octets(Int(length)).map(lowercased)
        guard name.count < 255 else { throw .malformed("a name of more than 255 octets") }
      case 3:
        let target = Int(length & 0x3f) << 8 | Int(try octet())
        guard target >= DNSMessage.headerLength, target < barrier else {
          throw .malformed("a pointer that does not lead back")
        }
        pointers += 1
        guard pointers <= most else { throw .malformed("too many pointers") }
        if behind == nil { behind = position }
        barrier = target
        position = target
      default: throw .malformed("a label of an unknown kind")
      }
    }
  }
}

private func lowercased(_ octet: UInt8) -> UInt8 {
  (0x41...0x5a).contains(octet) ? octet | 0x20 : octet
}

extension DNSQuestion.RecordType {
  /// RFC 1035 §3.2.2; RFC 3596 §2.1.
  var number: UInt16 {
    switch self {
    case .a: 1
    case .ns: 2
    case .cname: 5
    case .soa: 6
    case .mx: 15
    case .txt: 16
    case .aaaa: 28
    }
  }
}

extension DNSQuestion.ResponseCode {
  /// RFC 1035 §4.1.1
  var number: UInt8 {
    switch self {
    case .noError: 0
    case .serverFailure: 2
    case .nameError: 3
    case .refused: 5
    }
  }
}

extension DNSMessage {
  /// Why the answer fails a check; `nil`: it passes.
  func failure(for question: DNSQuestion) -> ProbeOutcome.Failure? {
    guard responseCode == question.expected.number else {
      return .init(.status, "\(Self.name(ofCode: responseCode)), expected \(question.expected.rawValue)")
    }
    guard let expected = question.answer, !addresses.contains(expected) else { return nil }
    if isTruncated {
      return .init(.body, "the answer is truncated and lacks \(expected): ask with transport tcp")
    }
    let found =
      addresses.isEmpty ? "no address" : addresses.prefix(4).map(\.description).joined(separator: ", ")
    return .init(.body, "the answer holds \(found), expected \(expected)")
  }

  private static func name(ofCode number: UInt8) -> String {
    let known: [UInt8: String] = [1: "FORMERR", 4: "NOTIMP"]
    let expectable = DNSQuestion.ResponseCode.allCases.first { $0.number == number }
    return expectable?.rawValue ?? known[number] ?? "response code \(number)"
  }
}
