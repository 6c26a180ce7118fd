// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// A DNS query, and what an answer to it says (RFC 1035).
struct DNSMessage {
  let identifier: UInt16
  let question: DNSQuestion

  private static let headerLength = 12
  /// No name has more labels, nor an honest one as many jumps.
  private static let longestWalk = 128
  private static let mostRecords = 256

  /// What an answer comes to.
  enum Reading: Equatable {
    case passed
    case failed(ProbeOutcome.Failure)
    /// It answers another query.
    case foreign
  }

  /// nil: the name is none.
  var query: [UInt8]? {
    var message = octets(identifier) + [0x01, 0x00] + octets(1) + [0, 0, 0, 0, 0, 0]
    for label in question.name.split(separator: ".") {
      guard (1...63).contains(label.utf8.count) else { return nil }
      message += [UInt8(label.utf8.count)] + Array(label.utf8)
    }
    message += [0] + octets(question.type.number) + octets(1)
    return message.count <= Self.headerLength + 255 + 4 ? message : nil
  }

  func read(_ answer: [UInt8]) -> Reading {
    var cursor = Cursor(answer)
    guard let id = cursor.number(), let flags = cursor.number() else {
      return .failed(Self.garbage("\(answer.count) octets"))
    }
    guard id == identifier else { return .foreign }
    guard flags & 0x8000 != 0 else { return .failed(Self.garbage("a query")) }
    guard let questions = cursor.number(), let answers = cursor.number(), cursor.skip(4) else {
      return .failed(Self.garbage("a cut header"))
    }
    let code = flags & 0xf
    guard code == question.expected.number else {
      return .failed(.init(.status, "\(Self.name(of: code)), expected \(question.expected.rawValue)"))
    }
    guard questions == 1 else { return .failed(Self.garbage("\(questions) questions")) }
    guard let name = cursor.name(), let type = cursor.number(), cursor.number() == 1 else {
      return .failed(Self.garbage("a question that cannot be read"))
    }
    guard type == question.type.number, name == asked else {
      return .failed(Self.garbage("another question"))
    }
    guard let wanted = question.answer else { return .passed }
    guard flags & 0x0200 == 0 || question.transport == .tcp else {
      return .failed(.init(.body, "a truncated answer: ask over tcp"))
    }
    return read(answers, &cursor, for: wanted)
  }

  private func read(_ count: UInt16, _ cursor: inout Cursor, for wanted: IPAddress) -> Reading {
    guard count <= Self.mostRecords else { return .failed(Self.garbage("\(count) records")) }
    var found: [String] = []
    for _ in 0..<count {
      guard cursor.name() != nil, let type = cursor.number(), cursor.skip(6), let length = cursor.number(),
        let data = cursor.take(Int(length))
      else { return .failed(Self.garbage("a record that cannot be read")) }
      switch (type, data.count) {
      case (1, 4), (28, 16):
        let address = IPAddress(family: type == 1 ? .v4 : .v6, octets: data)
        if address == wanted { return .passed }
        if found.count < 4 { found.append("\(address)") }
      default: continue
      }
    }
    let what = found.isEmpty ? "no address" : found.joined(separator: ", ")
    return .failed(.init(.body, "the answer holds \(what), expected \(wanted)"))
  }

  /// As ``Cursor/name()`` reads it.
  private var asked: String {
    question.name.split(separator: ".").map { $0.lowercased() }.joined(separator: ".")
  }

  private static func garbage(_ what: String) -> ProbeOutcome.Failure {
    .init(.body, "no DNS answer: \(what)")
  }

  private static func name(of code: UInt16) -> String {
    DNSQuestion.ResponseCode.allCases.first { $0.number == code }?.rawValue ?? "response code \(code)"
  }

  private func octets(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }

  /// Goes through a message, and never beyond it.
  private struct Cursor {
    private let message: [UInt8]
    private var at = 0

    init(_ message: [UInt8]) { self.message = message }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
      guard message.count - at >= count else { return nil }
      defer { at += count }
      return message[at..<at + count]
    }

    mutating func skip(_ count: Int) -> Bool { take(count) != nil }

    mutating func number() -> UInt16? {
      take(2).map { UInt16($0[$0.startIndex]) << 8 | UInt16($0[$0.startIndex + 1]) }
    }

    /// A name in small letters; its pointers lead backwards, or it is none.
    mutating func name() -> String? {
      var labels: [String] = []
      var place = at
      var end: Int?
      for _ in 0..<DNSMessage.longestWalk {
        guard place < message.count else { return nil }
        let length = Int(message[place])
        switch length >> 6 {
        case 0 where length == 0:
          at = end ?? place + 1
          return labels.joined(separator: ".")
        case 0:
          guard place + 1 + length <= message.count else { return nil }
          labels.append(String(decoding: message[place + 1..<place + 1 + length], as: UTF8.self).lowercased())
          place += 1 + length
        case 3:
          guard place + 1 < message.count else { return nil }
          let target = (length & 0x3f) << 8 | Int(message[place + 1])
          guard target < place else { return nil }
          end = end ?? place + 2
          place = target
        default: return nil
        }
      }
      return nil
    }
  }
}

extension DNSQuestion.RecordType {
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
  var number: UInt16 {
    switch self {
    case .noError: 0
    case .serverFailure: 2
    case .nameError: 3
    case .refused: 5
    }
  }
}
