// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Examines a response as its octets arrive. A pure value, with bounded time and memory for any input.
struct HTTPExamination {
  enum Conclusion: Hashable {
    case passed
    case failed(ProbeOutcome.Failure)
  }

  private let question: HTTPQuestion
  private var head: HTTPHead
  private var body: HTTPBody?
  private var hasBegun = false

  init(_ question: HTTPQuestion) {
    self.question = question
    head = HTTPHead(method: question.method)
  }

  /// The final status, once its line is complete.
  var status: Int? { head.status }

  /// The part that is still missing, as in `no status line within 1s`.
  var missing: String {
    if let body { return "no end of the body, whose first \(body.octets) octets do not hold \(wanted)," }
    if let status { return "no end of the head after status \(status)" }
    return hasBegun ? "no end of the status line" : "no status line"
  }

  /// - Returns: nil while more octets are needed.
  mutating func add(_ octets: some Collection<UInt8>) -> Conclusion? {
    do throws(ProbeOutcome.Failure) {
      return try examine(octets)
    } catch {
      return .failed(error)
    }
  }

  /// The server closed the connection, or reset it.
  mutating func end(isReset: Bool) -> Conclusion {
    let how = isReset ? "reset" : "closed"
    if let body {
      let reason =
        "the connection was \(how) after \(body.octets) octets of the body, which do not hold \(wanted)"
      return .failed(.init(.body, reason))
    }
    return .failed(
      .init(.port, "connection \(how) before \(status == nil ? "a status line" : "the end of the head")"))
  }

  private mutating func examine(_ octets: some Collection<UInt8>) throws(ProbeOutcome.Failure) -> Conclusion?
  {
    hasBegun = hasBegun || !octets.isEmpty
    if body != nil { return try search(octets) }
    var index = octets.startIndex
    while index != octets.endIndex {
      let isEnd = try head.add(octets[index])
      octets.formIndex(after: &index)
      guard isEnd else { continue }
      try requireStatus()
      guard let text = question.body, !text.isEmpty else { return .passed }
      body = HTTPBody(framing: head.framing, text: text)
      return try search(octets[index...])
    }
    return nil
  }

  private func requireStatus() throws(ProbeOutcome.Failure) {
    guard let status, !question.expected.contains(where: { $0.contains(status) }) else { return }
    let ranges = question.expected.map { range in
      range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
    }
    throw ProbeOutcome.Failure(.status, "status \(status), expected \(ranges.joined(separator: ", "))")
  }

  private mutating func search(_ octets: some Collection<UInt8>) throws(ProbeOutcome.Failure) -> Conclusion? {
    switch try body?.add(octets) {
    case .found: return .passed
    case .goesOn, nil: return nil
    case .over:
      let octets = body?.octets ?? 0
      let searched =
        octets == HTTPBody.octetLimit
        ? "the first \(octets / 1024) KiB of the body do" : "the body of \(octets) octets does"
      throw ProbeOutcome.Failure(.body, "\(searched) not hold \(wanted)")
    }
  }

  private var wanted: String { HTTPExcerpt.of((question.body ?? "").utf8) }
}
