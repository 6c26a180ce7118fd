// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// Single values. The key table determines their types, not YAML's rules: `no` is a word, and `1:2:3` is no number.

extension Cursor {
  /// The value in messages.
  private var what: String { key?.label ?? "" }

  private func isNot(_ kind: String) -> Never {
    preconditionFailure("the key table does not define \(path) as \(kind)")
  }

  /// A decimal number without sign, point or leading zeros.
  func integer() -> Int? {
    switch key?.type {
    case .integer(let range), .prime(let range), .requirement(let range): integer(in: range)
    default: isNot("a number")
    }
  }

  private func integer(in range: ClosedRange<Int>) -> Int? {
    guard let text = text() else { return nil }
    let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    guard let first = digits.utf8.first, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      first != 0x30 || digits.utf8.count == 1
    else {
      error(.invalidNumber, "\(what) \"\(text)\" is not a decimal number", expected: [expected])
      return nil
    }
    guard let value = Int(text), range.contains(value) else {
      error(.outOfRange, "\(what) \(text) is out of range", expected: [expected])
      return nil
    }
    return value
  }

  /// One of the words of an enumeration.
  func word<Choice: RawRepresentable<String> & CaseIterable>(as type: Choice.Type) -> Choice? {
    guard let text = text() else { return nil }
    if let choice = Choice(rawValue: text) { return choice }
    let words = Choice.allCases.map(\.rawValue)
    error(
      .invalidValue, "\(what) \"\(text)\" is unknown", expected: words,
      suggestion: findings.nearest(to: text, among: words))
    return nil
  }

  /// A number with its unit, in whole seconds.
  func seconds() -> Int? {
    guard case .seconds(let range) = key?.type else { isNot("seconds") }
    let expected = "\(durationText(range.lowerBound)) to \(durationText(range.upperBound)), in whole seconds"
    let bounds = range.lowerBound * 1000...range.upperBound * 1000
    return milliseconds(in: bounds, step: 1000, expected: expected).map { $0 / 1000 }
  }

  /// A number with its unit, in milliseconds.
  func duration() -> Located<Duration>? {
    guard case .duration(let range) = key?.type else { isNot("a duration") }
    let expected = "\(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
    let bounds = range.lowerBound.milliseconds...range.upperBound.milliseconds
    return Located(
      milliseconds(in: bounds, step: 1, expected: expected).map(Duration.milliseconds), self)
  }

  private func milliseconds(in range: ClosedRange<Int>, step: Int, expected: String) -> Int? {
    guard let text = text() else { return nil }
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let units = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000]
    guard let factor = units[String(text.dropFirst(digits.count))], digits.count == 1 || digits.first != "0",
      !digits.isEmpty
    else {
      error(
        .invalidDuration, "\(what) \"\(text)\" is not a duration: a whole number and its unit (ms, s, m, h)",
        expected: [expected], suggestion: digits.count == text.count && !text.isEmpty ? "\(text)s" : nil)
      return nil
    }
    let (milliseconds, overflow) = (Int(digits) ?? .max).multipliedReportingOverflow(by: factor)
    guard !overflow, milliseconds % step == 0, range.contains(milliseconds) else {
      error(.outOfRange, "\(what) \(text) is out of range", expected: [expected])
      return nil
    }
    return milliseconds
  }

  /// `N%`
  func percent() -> Int? {
    guard case .percent(let range) = key?.type else { isNot("a percentage") }
    return percent(in: range)
  }

  func percent(in range: ClosedRange<Int>) -> Int? {
    guard let text = text() else { return nil }
    let digits = text.dropLast()
    guard text.hasSuffix("%"), (1...3).contains(digits.utf8.count),
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.utf8.count == 1 || digits.first != "0",
      let percent = Int(digits), range.contains(percent)
    else {
      error(
        .invalidValue, "\(what) \"\(text)\" is not a share in percent",
        expected: ["\(range.lowerBound)% to \(range.upperBound)%"],
        suggestion: Int(text).map(range.contains) == true ? "\(text)%" : nil)
      return nil
    }
    return percent
  }

  /// The name of an object in CLI, metrics and API.
  ///
  /// - Parameter what: what messages call it; nil: the label of the key.
  func name(of what: String? = nil) -> String? {
    let what = what ?? self.what
    guard let text = text() else { return nil }
    guard isObjectName(text) else {
      error(
        .invalidName, "\(what) \"\(text)\" is not a valid name",
        expected: ["1 to 63 of a-z 0-9 - . _, the first a letter or digit"],
        suggestion: lowercaseName(text))
      return nil
    }
    return text
  }

  private func lowercaseName(_ text: String) -> String? {
    let lower = text.lowercased()
    guard lower != text, lower.utf8.count <= 63, lower.first?.isASCII == true, lower.first?.isLetter == true,
      lower.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
    else { return nil }
    return lower
  }

  /// An address that a host can have.
  func unicastAddress() -> IPAddress? {
    guard let text = text() else { return nil }
    guard let address = IPAddress(text) else {
      error(
        .invalidAddress,
        "\(what) \"\(text)\" is not an IPv4 or IPv6 address"
          + (whyNoAddress(text).map { ": \($0)" } ?? ""))
      return nil
    }
    guard address.isUnicast else {
      error(.notUnicast, "\(what) \(text) is not a unicast address")
      return nil
    }
    return address
  }

  /// An absolute path without empty, `.` or `..` components.
  func absolutePath() -> String? {
    guard let text = text() else { return nil }
    let components = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    guard text.hasPrefix("/"), components.allSatisfy({ !["", ".", ".."].contains($0) }) else {
      error(
        .invalidPath, "\(what) \"\(text)\" is not an absolute path",
        expected: ["/DIRECTORY/…, no empty component, no . or .., no / at the end"])
      return nil
    }
    guard text.utf8.count < 4096 else {
      error(.invalidPath, "\(what) is longer than 4095 bytes")
      return nil
    }
    return text
  }
}

/// A duration in its largest unit that gives a whole number.
func durationText(_ seconds: Int) -> String {
  if seconds > 0, seconds % 3600 == 0 { return "\(seconds / 3600)h" }
  if seconds > 0, seconds % 60 == 0 { return "\(seconds / 60)m" }
  return "\(seconds)s"
}

/// A duration of whole milliseconds in its largest unit that gives a whole number.
func durationText(_ duration: Duration) -> String {
  let milliseconds = duration.milliseconds
  return milliseconds % 1000 == 0 ? durationText(milliseconds / 1000) : "\(milliseconds)ms"
}

extension Duration {
  /// Rounded down.
  fileprivate var milliseconds: Int {
    Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
  }
}

/// Why a text that means a host, but is no address, is not taken for one; nil where it may mean anything.
public func whyNoAddress(_ text: String) -> String? {
  let isName = text.utf8.allSatisfy {
    (0x61...0x7A).contains($0 | 0x20) || (0x30...0x39).contains($0) || [0x2D, 0x2E, 0x5F].contains($0)
  }
  if isName, text.utf8.contains(where: { (0x61...0x7A).contains($0 | 0x20) }) {
    return "host names are not resolved, so that forwarding does not depend on DNS; give the address"
  }
  guard let colon = text.lastIndex(of: ":") else { return nil }
  // IPv6 needs brackets: without them the text after the last colon is a group of the address.
  let host = text[..<colon].drop { $0 == "[" }.prefix { $0 != "]" }
  guard let address = IPAddress(String(host)), address.family == .v4 || text.hasPrefix("[") else {
    return nil
  }
  return text[colon...].dropFirst().isEmpty
    ? nil : "it has no port; packets keep the port that clients use, and services name the ports"
}
