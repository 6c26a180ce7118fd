// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// The content of an HTTP/1 response, taken out of its framing (RFC 9112, sections 6 and 7) and searched for a text as
/// it comes. No content coding is undone: the request accepts none.
struct HTTPBody {
  /// What lies beyond is neither kept nor searched.
  static let octetLimit = 64 * 1024

  enum Progress {
    case goesOn
    case found
    /// The body is over, or its limit is reached, without the text.
    case over
  }

  /// Extensions follow, perhaps after blanks.
  private static let afterSize = Array("; \t".utf8)

  private enum Part {
    case content(Int)
    case chunkSize
    case chunkEnd
  }

  private let text: [UInt8]
  private let isChunked: Bool
  private var part: Part
  private var line: [UInt8] = []
  private var content: [UInt8] = []
  private var searched = 0

  /// - Parameter text: not empty.
  init(framing: HTTPHead.Framing, text: String) {
    self.text = Array(text.utf8)
    isChunked = framing == .chunked
    part =
      switch framing {
      case .none: .content(0)
      case .length(let length): .content(length)
      case .chunked: .chunkSize
      case .untilClose: .content(.max)
      }
  }

  /// Of the content, so far.
  var octets: Int { content.count }

  /// - Parameter octets: none at all tells of a body that has none.
  mutating func take(_ octets: some Sequence<UInt8>) throws(ProbeOutcome.Failure) -> Progress {
    var isOver = isComplete
    for octet in octets {
      if isOver || content.count == Self.octetLimit { break }
      isOver = try take(octet)
    }
    if holdsText() { return .found }
    return isOver || content.count == Self.octetLimit ? .over : .goesOn
  }

  private var isComplete: Bool {
    if case .content(0) = part { return !isChunked }
    return false
  }

  /// - Returns: whether this octet is the last.
  private mutating func take(_ octet: UInt8) throws(ProbeOutcome.Failure) -> Bool {
    switch part {
    case .content(let rest):
      content.append(octet)
      part = isChunked && rest == 1 ? .chunkEnd : .content(rest - 1)
      return isComplete
    case .chunkEnd:
      guard try isEndOfLine(octet) else { return false }
      guard line.isEmpty else { throw notChunked() }
      part = .chunkSize
    case .chunkSize:
      guard try isEndOfLine(octet) else { return false }
      let size = try readSize()
      // Trailer fields hold nothing to search.
      if size == 0 { return true }
      part = .content(size)
      line.removeAll(keepingCapacity: true)
    }
    return false
  }

  private mutating func isEndOfLine(_ octet: UInt8) throws(ProbeOutcome.Failure) -> Bool {
    if octet == UInt8(ascii: "\n") {
      if line.last == UInt8(ascii: "\r") { line.removeLast() }
      return true
    }
    line.append(octet)
    guard line.count <= 256 else { throw notChunked() }
    return false
  }

  private func readSize() throws(ProbeOutcome.Failure) -> Int {
    let digits = line.prefix { !Self.afterSize.contains($0) }
    guard digits.count <= 15, !digits.isEmpty else { throw notChunked() }
    var size = 0
    for digit in digits {
      guard let value = Character(Unicode.Scalar(digit)).hexDigitValue else { throw notChunked() }
      size = size << 4 | value
    }
    return size
  }

  private func notChunked() -> ProbeOutcome.Failure {
    ProbeOutcome.Failure(.body, "the body's chunks are malformed: \(HTTPExcerpt.of(line))")
  }

  /// Each octet is looked at but once or so, however small the pieces it came in.
  private mutating func holdsText() -> Bool {
    let last = content.count - text.count
    guard searched <= last else { return false }
    for start in searched...last where content[start...].starts(with: text) { return true }
    searched = last + 1
    return false
  }
}
