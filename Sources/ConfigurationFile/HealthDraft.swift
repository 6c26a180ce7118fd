// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// Health as the files set it. nil: not set, or wrong and reported.

struct HealthDraft {
  var check: CheckDraft?
  var hysteresis: Located<Int>?
  var onInsufficient: Located<InsufficientPolicy>?
  var guardShare: Int?
  var guardInterval: Located<Duration>?
  /// At the key `guard`.
  var guardLocation: Cursor?
}

/// What files give as the type of a check.
enum CheckType: Hashable, RawRepresentable, CaseIterable {
  case probe(ProbeType)
  /// `none`: the pool is not checked.
  case off

  static let allCases = ProbeType.allCases.map(probe) + [off]

  init?(rawValue: String) {
    guard let type = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
    self = type
  }

  var rawValue: String {
    switch self {
    case .probe(let type): type.rawValue
    case .off: "none"
    }
  }

  /// nil: no probe.
  var probe: ProbeType? {
    if case .probe(let type) = self { type } else { nil }
  }
}

enum HTTPMethod: String, CaseIterable {
  case get = "GET"
  case head = "HEAD"
}

/// `true` or `false`, and none of the other words that YAML reads as truth values.
enum Truth: String, CaseIterable {
  case yes = "true"
  case no = "false"
}

struct CheckDraft {
  /// Stands at the whole check.
  let cursor: Cursor
  var type: CheckType?
  /// Stands at the value of `type`; nil: the check does not set it.
  var typeCursor: Cursor?
  /// False where `type` is wrong: it is not known then what the check inherits.
  var typeIsKnown = true
  var via: Located<HealthCheck.Via>?
  var vips: Located<[Located<IPAddress>]>?
  var port: UInt16?
  var start: HealthCheck.Start?
  var isFullSize: Bool?
  var timing = CheckTiming()
  // http and https; method and body stand at their keys
  var method: Located<HTTPMethod>?
  var path: String?
  var host: String?
  var statuses: [ClosedRange<Int>]?
  var body: Located<String>?
  var tlsIsVerified: Bool?
  var tlsAuthorities: Located<String>?
  // dns
  var query: String?
  var recordType: DNSQuestion.RecordType?
  var transport: TransportProtocol?
  var responseCode: DNSQuestion.ResponseCode?
  var answer: Located<IPAddress>?
  // udp
  var payload: [UInt8]?
  var reply: [UInt8]?
}

/// The keys that checks of all types have.
struct CheckTiming {
  var interval: Located<Duration>?
  var timeout: Located<Duration>?
  var rise: Int?
  var fall: Int?
  var fastInterval: Located<Duration>?
  /// Percent.
  var jitter: Int?
  var hold: Located<Duration>?
  var limit: Located<Duration>?
  var memory: Located<Duration>?
}
