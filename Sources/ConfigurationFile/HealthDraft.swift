// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// What the files say of health. nil means: not said, or wrong and reported.

struct HealthDraft {
  var check: CheckDraft?
  var hysteresis: Placed<Int>?
  var onInsufficient: Placed<InsufficientPolicy>?
  var guardShare: Int?
  var guardInterval: Placed<Duration>?
  /// Where `guard` was said.
  var guardPlace: Cursor?
}

/// The kinds of checks as files name them.
enum CheckType: String, CaseIterable {
  case tcp
  case http
  case https
  case dns
  case udp
  case icmp
  case none
}

enum HTTPMethod: String, CaseIterable {
  case get = "GET"
  case head = "HEAD"
}

/// `true` or `false`, and nothing else that YAML might take for them.
enum Truth: String, CaseIterable {
  case yes = "true"
  case no = "false"
}

struct CheckDraft {
  /// Stands at the whole check.
  let cursor: Cursor
  var type: CheckType?
  /// False where `type` was said wrongly: nothing can be taken from elsewhere then.
  var typeIsKnown = true
  var way: Placed<HealthCheck.Way>?
  var vips: Placed<[Placed<IPAddress>]>?
  var port: UInt16?
  var start: HealthCheck.Start?
  var isFullSize: Bool?
  var timing = CheckTiming()
  // http and https; method and body stand at their keys
  var method: Placed<HTTPMethod>?
  var path: String?
  var host: String?
  var statuses: [ClosedRange<Int>]?
  var body: Placed<String>?
  var tlsIsVerified: Bool?
  var tlsAuthorities: Placed<String>?
  // dns
  var query: String?
  var recordType: DNSQuestion.RecordType?
  var transport: TransportProtocol?
  var responseCode: DNSQuestion.ResponseCode?
  var answer: Placed<IPAddress>?
  // udp
  var payload: [UInt8]?
  var reply: [UInt8]?

  /// Whether it stands in this check itself, and not in the defaults that completed it.
  func says(_ part: Cursor) -> Bool { part.path.hasPrefix(cursor.path + ".") }
}

/// What of a check is the same whatever is asked.
struct CheckTiming {
  var interval: Placed<Duration>?
  var timeout: Placed<Duration>?
  var rise: Int?
  var fall: Int?
  var fastInterval: Placed<Duration>?
  /// Percent.
  var jitter: Int?
  var hold: Placed<Duration>?
  var limit: Placed<Duration>?
  var memory: Placed<Duration>?
}
