// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@testable import Probing

/// An answer to `www.example.com A`, built by hand.
struct SampleAnswer {
  var identifier: [UInt8] = [0x12, 0x34]
  var flags: [UInt8] = [0x81, 0x80]
  var counts: [UInt8] = [0, 1, 0, 1, 0, 0, 0, 0]
  var question = SampleAnswer.name + [0, 1, 0, 1]
  /// A pointer to the question's name, A, IN, TTL, 192.0.2.1.
  var records: [UInt8] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]

  static let name: [UInt8] =
    [3] + Array("www".utf8) + [7] + Array("example".utf8) + [3] + Array("com".utf8) + [0]
  var octets: [UInt8] { identifier + flags + counts + question + records }

  func with(_ change: (inout SampleAnswer) -> Void) -> [UInt8] {
    var copy = self
    change(&copy)
    return copy.octets
  }
}

@Suite struct DNSMessageTests {
  let question = DNSQuestion(name: "www.example.com", answer: .v4(192, 0, 2, 1))
  var query: [UInt8] { DNSMessage.query(question, identifier: 0x1234)! }

  @Test func `a query holds the name as labels, the type and the class`() {
    #expect(query == [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + SampleAnswer.name + [0, 1, 0, 1])
    #expect(DNSMessage.query(DNSQuestion(name: ".", type: .ns), identifier: 0)?.suffix(5) == [0, 0, 2, 0, 1])
    for name in ["", "a..b", "a.", String(repeating: "x", count: 64)] {
      #expect(DNSMessage.query(DNSQuestion(name: name), identifier: 0) == nil)
    }
    let long = Array(repeating: String(repeating: "x", count: 62), count: 4).joined(separator: ".")
    #expect(DNSMessage.query(DNSQuestion(name: long), identifier: 0) != nil)
    #expect(DNSMessage.query(DNSQuestion(name: long + ".xx"), identifier: 0) == nil)
  }

  @Test func `an answer is read`() throws {
    let answer = try DNSMessage(answering: query, SampleAnswer().octets)
    let shouted = try DNSMessage(answering: query, SampleAnswer().with { $0.question[1] = 0x57 })
    #expect(shouted == answer)
    #expect(answer.addresses == [.v4(192, 0, 2, 1)])
    #expect(answer.failure(for: question) == nil)
  }

  @Test(arguments: [
    SampleAnswer().with { $0.identifier[1] = 0 },
    SampleAnswer().with { $0.question[1] = 0x78 },
    SampleAnswer().with { $0.question[$0.question.count - 3] = 28 },
  ]) func `what answers another query is foreign`(_ octets: [UInt8]) {
    #expect(throws: DNSMessage.Fault.foreign) { try DNSMessage(answering: query, octets) }
  }

  @Test(arguments: [
    ("a query", SampleAnswer().with { $0.flags[0] = 1 }),
    ("another opcode", SampleAnswer().with { $0.flags[0] = 0xa9 }),
    ("two questions", SampleAnswer().with { $0.counts[1] = 2 }),
    ("no question", SampleAnswer().with { $0.counts[1] = 0 }),
    ("more records than there are", SampleAnswer().with { $0.counts[3] = 2 }),
    ("thousands of records", SampleAnswer().with { $0.counts[2] = 0xff }),
    ("a record too many", SampleAnswer().with { $0.counts[3] = 0 }),
    ("a pointer to itself", SampleAnswer().with { $0.records[1] = 33 }),
    ("a pointer forward", SampleAnswer().with { $0.records[1] = 40 }),
    ("a pointer into the header", SampleAnswer().with { $0.records[1] = 2 }),
    ("a label of no kind", SampleAnswer().with { $0.records[0] = 0x80 }),
    ("data beyond the end", SampleAnswer().with { $0.records[11] = 5 }),
    (
      "an address of three octets",
      SampleAnswer().with {
        $0.records[11] = 3
        $0.records.removeLast()
      }
    ),
    ("octets behind", SampleAnswer().octets + [0]),
    ("half a header", [0x12, 0x34, 0x81]),
  ]) func `what is no message is refused`(_ what: String, _ octets: [UInt8]) {
    #expect { try DNSMessage(answering: query, octets) } throws: {
      if case .malformed = $0 as? DNSMessage.Fault { true } else { false }
    }
  }

  /// Names that each go over so many pointers, in records behind one that holds the chain.
  private func chained(_ length: Int, names: Int) -> [UInt8] {
    SampleAnswer().with { answer in
      let first = DNSMessage.headerLength + answer.question.count + answer.records.count + 12
      // The first leads to the question's name, and each other to the one before.
      let places = [DNSMessage.headerLength] + (0..<(length - 1)).map { first + $0 * 2 }
      let pointers = places.map { [UInt8(0xc0 | $0 >> 8), UInt8($0 & 0xff)] }
      let chain = pointers.dropLast().flatMap(\.self)
      let text: [UInt8] = [0, 16, 0, 1, 0, 0, 0, 60]
      answer.records += [0xc0, 12] + text + [UInt8(chain.count >> 8), UInt8(chain.count & 0xff)] + chain
      for _ in 0..<names { answer.records += pointers.last! + text + [0, 0] }
      answer.counts[2] = UInt8((names + 2) >> 8)
      answer.counts[3] = UInt8((names + 2) & 0xff)
    }
  }

  @Test func `chains of pointers are read as far as anybody makes them`() throws {
    // Two more stand before the names.
    #expect(try DNSMessage(answering: query, chained(64, names: 15)).addresses.count == 1)
    #expect(try DNSMessage(answering: query, chained(4, names: 254)).addresses.count == 1)
    for hostile in [chained(65, names: 1), chained(64, names: 16), chained(8000, names: 254)] {
      #expect(throws: DNSMessage.Fault.malformed("too many pointers")) {
        try DNSMessage(answering: query, hostile)
      }
    }
  }

  @Test func `a verdict names what was expected`() throws {
    func failure(_ octets: [UInt8]) throws -> ProbeOutcome.Failure? {
      try DNSMessage(answering: query, octets).failure(for: question)
    }
    #expect(
      try failure(SampleAnswer().with { $0.flags[1] = 0x82 }) == .init(.status, "SERVFAIL, expected NOERROR"))
    #expect(
      try failure(SampleAnswer().with { $0.flags[1] = 0x8b })?.reason == "response code 11, expected NOERROR")
    #expect(
      try failure(SampleAnswer().with { $0.records[15] = 9 })
        == .init(.body, "the answer holds 192.0.2.9, expected 192.0.2.1"))
    let truncated = SampleAnswer().with {
      $0.flags[0] = 0x83
      $0.counts[3] = 0
      $0.records = []
    }
    #expect(try failure(truncated)?.reason.contains("truncated") == true)
    let refused = SampleAnswer().with {
      $0.flags[1] = 0x85
      $0.counts = [0, 0, 0, 0, 0, 0, 0, 0]
      $0.question = []
      $0.records = []
    }
    #expect(try failure(refused)?.layer == .status)
  }

  @Test func `a hundred thousand damaged messages stop nothing`() {
    var generator = SystemRandomNumberGenerator()
    let query = query
    // Long chains of pointers, too: every one of them leads back, and a name of them ends.
    let sound = SampleAnswer().with {
      $0.records += $0.records
      $0.counts[3] = 2
    }
    var read = 0
    for _ in 0..<100_000 {
      var octets = sound
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let index = Int.random(in: 2..<octets.count, using: &generator)
        octets[index] = [UInt8.random(in: 0...255, using: &generator), 0xc0, 12, 0, 63].randomElement()!
      }
      if Bool.random() { octets.removeLast(Int.random(in: 0..<octets.count, using: &generator)) }
      if (try? DNSMessage(answering: query, octets)) != nil { read += 1 }
    }
    #expect(read < 100_000)
  }
}
