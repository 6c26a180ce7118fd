// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

// Health policies as a file would say them.

/// A pool's keys about health. Where nothing is checked, what would do nothing is said only if it was set.
/// - Parameter isWhole: also then.
func describe(_ health: HealthPolicy, isWhole: Bool = false) -> [String] {
  var lines = health.check.map(describe) ?? ["    check: { type: none }"]
  guard isWhole || health != HealthPolicy() else { return lines }
  lines += [
    "    hysteresis: \(health.hysteresis)",
    "    on_insufficient: \(health.onInsufficient.rawValue)",
    "    guard: { share: \(health.guard.share)%, interval: \(durationText(health.guard.interval)) }",
  ]
  return lines
}

private func describe(_ check: HealthCheck) -> [String] {
  var fields = ["type: \(check.kind.name)", "via: \(check.way.rawValue)"]
  if let vips = check.vips { fields.append("vips: [\(vips.map(text).joined(separator: ", "))]") }
  if let port = check.port { fields.append("port: \(port)") }
  fields += [
    "interval: \(durationText(check.interval))", "timeout: \(durationText(check.timeout))",
    "rise: \(check.rise)", "fall: \(check.fall)",
  ]
  if let fast = check.fastInterval { fields.append("fast_interval: \(durationText(fast))") }
  fields += [
    "jitter: \(Int((check.jitter * 100).rounded()))%", "on_start: \(check.start.rawValue)",
    "damping: { hold: \(durationText(check.damping.hold)), limit: \(durationText(check.damping.limit)), "
      + "memory: \(durationText(check.damping.memory)) }",
  ]
  switch check.kind {
  case .tcp: break
  case .http(let question): fields += ["full_size: \(check.isFullSize)"] + describe(question)
  case .dns(let question): fields += describe(question)
  case .udp(let question):
    fields.append(octets("send", question.payload))
    if let reply = question.reply { fields.append(octets("reply", reply)) }
  case .icmp: fields.append("full_size: \(check.isFullSize)")
  }
  return ["    check:"] + fields.map { "      \($0)" }
}

private func describe(_ question: HTTPQuestion) -> [String] {
  let statuses = question.expected.map { range in
    range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
  }
  var fields = ["method: \(question.method)", "path: \(quoted(question.path))"]
  if let host = question.host { fields.append("host: \(quoted(host))") }
  fields.append("expect: [\(statuses.joined(separator: ", "))]")
  if let body = question.body { fields.append("body: \(quoted(body))") }
  guard let tls = question.tls else { return fields }
  fields.append("tls_verify: \(tls.isVerified)")
  if let authorities = tls.authorities { fields.append("tls_ca: \(quoted(authorities))") }
  return fields
}

private func describe(_ question: DNSQuestion) -> [String] {
  var fields = [
    "query: \(quoted(question.name))", "qtype: \(question.type.rawValue)",
    "transport: \(question.transport.name)", "expect: \(question.expected.rawValue)",
  ]
  if let answer = question.answer { fields.append("answer: \(text(answer))") }
  return fields
}

/// As text where all of it can be seen, in hexadecimal digits otherwise.
private func octets(_ key: String, _ octets: [UInt8]) -> String {
  guard octets.allSatisfy({ (0x20...0x7E).contains($0) }) else {
    let digits = octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    return "\(key)_hex: \"\(digits)\""
  }
  return "\(key): \(quoted(String(decoding: octets, as: UTF8.self)))"
}
