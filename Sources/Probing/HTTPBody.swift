// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Decodes the framing of an HTTP/1 response (RFC 9112, sections 6 and 7) and searches the content for a text as it
/// arrives. The request accepts no content coding, so none is decoded.
struct HTTPBody {
  /// The number of octets that are searched.
  static let octetLimit = 64 * 1024

  enum Progress {
    case goesOn
    case found
    /// The body has ended, or the limit is reached, without the text.
    case over
  }

  /// Extensions may follow, after optional blanks.
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

  /// The number of content octets so far.
  var octets: Int { content.count }

  /// - Parameter octets: empty for a response without a body.
  mutating func add(_ octets: some Sequence<UInt8>) throws(ProbeOutcome.Failure) -> Progress {
    var isOver = isComplete
    for octet in octets {
      if isOver || content.count == Self.octetLimit { break }
      isOver = try add(octet)
    }
    if holdsText() { return .found }
    return isOver || content.count == Self.octetLimit ? .over : .goesOn
  }

  private var isComplete: Bool {
    if case .content(0) = part { return !isChunked }
    return false
  }

  /// - Returns: whether this octet is the last.
  private mutating func add(_ octet: UInt8) throws(ProbeOutcome.Failure) -> Bool {
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
      // Trailer fields are not searched.
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

  /// Examines each octet about once, whatever the sizes of the pieces.
  private mutating func holdsText() -> Bool {
    let last = content.count - text.count
    guard searched <= last else { return false }
    for start in searched...last where content[start...].starts(with: text) { return true }
    searched = last + 1
    return false
  }
}
