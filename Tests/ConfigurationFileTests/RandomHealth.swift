// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

extension SplitMix {
  mutating func healthPolicy() -> HealthPolicy {
    HealthPolicy(
      check: pick([true, true, false]) ? healthCheck() : nil, hysteresis: pick([0, 1, 65_536]),
      onInsufficient: pick(InsufficientPolicy.allCases),
      guard: HealthGuard(
        share: Int.random(in: 1...100, using: &self), interval: pick([.seconds(1), .seconds(90)])))
  }

  private mutating func healthCheck() -> HealthCheck {
    let kind = questionKind()
    let interval: Duration = pick([.milliseconds(100), .seconds(2), .milliseconds(1001), .seconds(3600)])
    let carriesSize = ["http", "https", "icmp"].contains(kind.name)
    return HealthCheck(
      kind: kind, via: pick(HealthCheck.Via.allCases), port: kind == .icmp ? nil : pick([1, 443, 65_535]),
      interval: interval, timeout: .milliseconds(Int.random(in: 10...60_000, using: &self)),
      rise: Int.random(in: 1...100, using: &self), fall: Int.random(in: 1...100, using: &self),
      fastInterval: pick([nil, interval, .milliseconds(100)]),
      jitter: Double(Int.random(in: 0...90, using: &self)) / 100, start: pick(HealthCheck.Start.allCases),
      isFullSize: carriesSize && pick([true, false]),
      damping: Damping(
        hold: pick([.zero, .milliseconds(1), .seconds(60)]), limit: pick([.seconds(60), .seconds(86_400)]),
        memory: pick([.seconds(1), .milliseconds(90_500)])))
  }

  private mutating func questionKind() -> HealthCheck.Kind {
    let texts = [
      "ok", "null", "~", "\"", "\\", "a: b # c", "- x", "é\u{301}", "\"\u{301}", " ", "0x10", "*a", "{}",
    ]
    switch Int.random(in: 0..<5, using: &self) {
    case 0: return .tcp
    case 1: return .icmp
    case 2:
      let tls = HTTPQuestion.TLS(
        isVerified: pick([true, false]), authorities: pick([nil, "/etc/a b/#.pem"]))
      return .http(
        HTTPQuestion(
          method: pick(["GET", "HEAD"]), path: pick(["/", "/healthz", "/%20?a=\"{}\"&b=[*]:\\"]),
          host: pick([nil, "no", "10.0.0.1", "a-b_c.example:8080", "[2001:db8::1]", "[::1]:443"]),
          expected: pick([[200...299], [204...204], [100...599, 304...304]]), body: nil,
          tls: pick([nil, tls])
        ).expecting(pick([nil] + texts)))
    case 3:
      let (type, answer): (DNSQuestion.RecordType, IPAddress?) = pick([
        (.a, .v4(192, 0, 2, 1)), (.aaaa, IPAddress("2001:db8::1")), (.txt, nil), (.soa, nil), (.a, nil),
      ])
      return .dns(
        DNSQuestion(
          name: pick([".", "no", "_dns.example.com", "1"]), type: type, transport: pick([.udp, .tcp]),
          expected: answer == nil ? pick(DNSQuestion.ResponseCode.allCases) : .noError, answer: answer))
    default:
      let payloads = texts.map { Array($0.utf8) } + [[0], [0x0A, 0xFF], Array(repeating: 0x7F, count: 1200)]
      return .udp(DatagramQuestion(payload: pick(payloads), reply: pick([nil] + payloads)))
    }
  }
}

extension HTTPQuestion {
  /// Only an answer to GET has a body.
  fileprivate func expecting(_ body: String?) -> HTTPQuestion {
    var question = self
    question.body = method == "GET" ? body : nil
    return question
  }
}
