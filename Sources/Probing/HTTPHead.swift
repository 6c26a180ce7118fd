// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Parses the head of an HTTP/1 response (RFC 9112) octet by octet. It skips interim responses, and keeps only the
/// fields that determine the length of the body.
struct HTTPHead {
  /// The limit for all heads together, including interim ones.
  static let octetLimit = 16 * 1024
  static let interimLimit = 8

  /// How the end of the body is determined (RFC 9112, section 6.3).
  enum Framing: Hashable {
    case none
    case length(Int)
    case chunked
    case untilClose
  }

  /// The final status, once its line is complete.
  private(set) var status: Int?
  private let isAnswerToHead: Bool
  private var length: Int?
  private var transferCodings: [UInt8] = []
  private var line: [UInt8] = []
  private var interims = 0
  private var octets = 0
  private var isInterim = false

  /// - Parameter method: the request's method. A response to HEAD has no body, whatever its fields say.
  init(method: String) {
    isAnswerToHead = method == "HEAD"
  }

  var framing: Framing {
    if isAnswerToHead || status == 204 || status == 304 { return .none }
    if !transferCodings.isEmpty { return isChunked ? .chunked : .untilClose }
    return length.map(Framing.length) ?? .untilClose
  }

  private var isChunked: Bool {
    transferCodings.split(separator: UInt8(ascii: ",")).last.map { Self.trimmed($0) == Self.chunked } ?? false
  }

  /// - Returns: whether this octet ends the final head.
  mutating func add(_ octet: UInt8) throws(ProbeOutcome.Failure) -> Bool {
    octets += 1
    guard octets <= Self.octetLimit else {
      throw ProbeOutcome.Failure(.status, "no end of the head within \(Self.octetLimit / 1024) KiB")
    }
    guard octet == UInt8(ascii: "\n") else {
      line.append(octet)
      if status == nil, !isInterim { try requireStatusLine() }
      return false
    }
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    defer { line.removeAll(keepingCapacity: true) }
    if status == nil, !isInterim {
      try readStatusLine()
      return false
    }
    guard line.isEmpty else {
      try readField()
      return false
    }
    guard isInterim else { return true }
    isInterim = false
    return false
  }

  /// Rejects another protocol by its first octets, because it may never send an end of line.
  private func requireStatusLine() throws(ProbeOutcome.Failure) {
    let last = line.count - 1
    guard last < Self.protocolName.count, line[last] != Self.protocolName[last] else { return }
    throw ProbeOutcome.Failure(.status, "not HTTP/1: \(HTTPExcerpt.of(line))")
  }

  private mutating func readStatusLine() throws(ProbeOutcome.Failure) {
    let digits = line.dropFirst(Self.protocolName.count + 2).prefix(3)
    guard line.starts(with: Self.protocolName),
      line.dropFirst(Self.protocolName.count + 1).first == UInt8(ascii: " "),
      digits.count == 3, digits.allSatisfy(Self.isDigit), line.count == 12 || line[12] == UInt8(ascii: " ")
    else { throw ProbeOutcome.Failure(.status, "no status line: \(HTTPExcerpt.of(line))") }
    let code = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    // 101 is final: what follows it is not HTTP.
    guard (100...199).contains(code), code != 101 else {
      status = code
      return
    }
    interims += 1
    guard interims <= Self.interimLimit else {
      throw ProbeOutcome.Failure(.status, "more than \(Self.interimLimit) interim responses")
    }
    isInterim = true
  }

  private mutating func readField() throws(ProbeOutcome.Failure) {
    // A folded line goes on with the value above it; neither field of interest may be folded.
    if line[0] == UInt8(ascii: " ") || line[0] == UInt8(ascii: "\t") { return }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0 else {
      throw ProbeOutcome.Failure(.status, "the head holds a line that is no field: \(HTTPExcerpt.of(line))")
    }
    guard !isInterim else { return }
    let value = line[(colon + 1)...]
    if Self.isName(line[..<colon], Self.contentLength) { try readLength(Self.trimmed(value)) }
    if Self.isName(line[..<colon], Self.transferEncoding) {
      transferCodings += (transferCodings.isEmpty ? [] : [UInt8(ascii: ",")]) + value
    }
  }

  private mutating func readLength(_ value: [UInt8]) throws(ProbeOutcome.Failure) {
    guard !value.isEmpty, value.count <= 18, value.allSatisfy(Self.isDigit) else {
      throw ProbeOutcome.Failure(.body, "the Content-Length is no length: \(HTTPExcerpt.of(value))")
    }
    let announced = value.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    guard length == nil || length == announced else {
      throw ProbeOutcome.Failure(.body, "two Content-Lengths that differ: \(length ?? 0) and \(announced)")
    }
    length = announced
  }

  private static let protocolName = Array("HTTP/1.".utf8)
  private static let contentLength = Array("content-length".utf8)
  private static let transferEncoding = Array("transfer-encoding".utf8)
  private static let chunked = Array("chunked".utf8)

  private static func isDigit(_ octet: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= octet }

  private static func isName(_ octets: ArraySlice<UInt8>, _ name: [UInt8]) -> Bool {
    octets.count == name.count && octets.lazy.map(lowercased).elementsEqual(name)
  }

  /// Trimmed and in lower case.
  private static func trimmed(_ octets: ArraySlice<UInt8>) -> [UInt8] {
    let isBlank = { (octet: UInt8) in octet == UInt8(ascii: " ") || octet == UInt8(ascii: "\t") }
    guard let first = octets.firstIndex(where: { !isBlank($0) }),
      let last = octets.lastIndex(where: { !isBlank($0) })
    else { return [] }
    return octets[first...last].map(lowercased)
  }

  private static func lowercased(_ octet: UInt8) -> UInt8 {
    UInt8(ascii: "A")...UInt8(ascii: "Z") ~= octet ? octet | 0x20 : octet
  }
}
