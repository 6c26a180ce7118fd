// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

// Health policies as a file would set them.

/// Adds a pool's keys about health. Where nothing is checked, keys that have no effect are written only if they were
/// set.
///
/// - Parameter isWhole: write them in any case.
func addHealth(_ health: HealthPolicy, isWhole: Bool, to settings: inout Settings) {
  let check =
    health.check.map(checkSettings)
    ?? Settings(KeyTable.checkSection, ["type": .plain(CheckType.off.rawValue)])
  settings["check"] = .section(check)
  guard isWhole || health != HealthPolicy() else { return }
  settings["hysteresis"] = .plain("\(health.hysteresis)")
  settings["on_insufficient"] = .plain(health.onInsufficient.rawValue)
  settings["guard"] = .section(
    subsettings(
      of: KeyTable.pool, "guard",
      ["share": .plain("\(health.guard.share)%"), "interval": .plain(durationText(health.guard.interval))]))
}

private func checkSettings(_ check: HealthCheck) -> Settings {
  var settings = Settings(
    KeyTable.checkSection,
    [
      "type": .plain(check.kind.name), "via": .plain(check.via.rawValue),
      "vips": check.vips.map { .list($0.map { .plain("\($0)") }) },
      "port": check.port.map { .plain("\($0)") },
      "interval": .plain(durationText(check.interval)), "timeout": .plain(durationText(check.timeout)),
      "rise": .plain("\(check.rise)"), "fall": .plain("\(check.fall)"),
      "fast_interval": check.fastInterval.map { .plain(durationText($0)) },
      "jitter": .plain("\(Int((check.jitter * 100).rounded()))%"), "on_start": .plain(check.start.rawValue),
      "damping": .section(
        subsettings(
          of: KeyTable.checkSection, "damping",
          [
            "hold": .plain(durationText(check.damping.hold)),
            "limit": .plain(durationText(check.damping.limit)),
            "memory": .plain(durationText(check.damping.memory)),
          ])),
    ])
  switch check.kind {
  case .tcp: break
  case .http(let question):
    settings["full_size"] = .plain("\(check.isFullSize)")
    add(question, to: &settings)
  case .dns(let question): add(question, to: &settings)
  case .udp(let question):
    addOctets("send", question.payload, to: &settings)
    if let reply = question.reply { addOctets("reply", reply, to: &settings) }
  case .icmp: settings["full_size"] = .plain("\(check.isFullSize)")
  }
  return settings
}

private func add(_ question: HTTPQuestion, to settings: inout Settings) {
  let statuses = question.expected.map { range in
    range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
  }
  settings["method"] = .plain(question.method)
  settings["path"] = .text(question.path)
  settings["host"] = .optional(question.host)
  settings["expect"] = .list(statuses.map(Setting.plain))
  settings["body"] = .optional(question.body)
  guard let tls = question.tls else { return }
  settings["tls_verify"] = .plain("\(tls.isVerified)")
  settings["tls_ca"] = .optional(tls.authorities)
}

private func add(_ question: DNSQuestion, to settings: inout Settings) {
  settings["query"] = .text(question.name)
  settings["qtype"] = .plain(question.type.rawValue)
  settings["transport"] = .plain(question.transport.name)
  settings["expect"] = .plain(question.expected.rawValue)
  settings["answer"] = question.answer.map { .plain("\($0)") }
}

/// As text where all of it is printable, in hexadecimal digits otherwise.
private func addOctets(_ key: String, _ octets: [UInt8], to settings: inout Settings) {
  guard octets.allSatisfy({ (0x20...0x7E).contains($0) }) else {
    let digits = octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    settings["\(key)_hex"] = .text(digits)
    return
  }
  settings[key] = .text(String(decoding: octets, as: UTF8.self))
}
