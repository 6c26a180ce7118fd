// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// Checks against the pools and services that they belong to.

extension Draft {
  func checkHealth() {
    checkTypesAreBuiltIn()
    let servicesByPool = Dictionary(grouping: services.indices.lazy.filter { services[$0].pool != nil }) {
      services[$0].pool?.value ?? ""
    }
    for pool in pools {
      guard let check = check(of: pool) else {
        checkIsNeeded(by: pool)
        continue
      }
      checkTimes(of: check)
      checkRequest(of: check, own: pool.health.check)
      checkAnswer(of: check)
      checkDestinations(
        of: check, in: pool, servicesByPool[pool.name.value, default: []].map { services[$0] })
      if let authorities = check.tlsAuthorities, let obstacle = obstacleToReading(authorities.value) {
        authorities.cursor.warning(
          .unreadableAuthorities,
          "cannot read \(authorities.value): \(obstacle); probes will fail until it can be read")
      }
    }
  }

  /// Whether this build can make the probes of the types that the files name.
  private func checkTypesAreBuiltIn() {
    guard !build.hasTLS else { return }
    reportMissingTLS(defaults.health.check)
    for pool in pools { reportMissingTLS(pool.health.check) }
  }

  private func reportMissingTLS(_ check: CheckDraft?) {
    guard check?.type == .probe(.https) else { return }
    check?.typeCursor?.error(
      .notInThisBuild,
      "type https needs TLS, and this build has none: build with the default traits "
        + "(swift build without --disable-default-traits)")
  }

  /// Warns of keys that have no effect because the pool has no check.
  private func checkIsNeeded(by pool: PoolDraft) {
    // A check with a mistake is still a check.
    guard pool.health.check?.typeIsKnown != false else { return }
    let locations = [
      ("hysteresis", pool.health.hysteresis?.cursor), ("on_insufficient", pool.health.onInsufficient?.cursor),
      ("guard", pool.health.guardLocation),
    ]
    for case (let key, let cursor?) in locations {
      cursor.warning(
        .nothingChecked, "\(key) does nothing: pool \"\(pool.name.value)\" has no check")
    }
  }

  private func checkTimes(of check: CheckDraft) {
    let standard = HealthCheck(kind: .tcp)
    let interval = check.timing.interval?.value ?? standard.interval
    if let fast = check.timing.fastInterval, fast.value > interval {
      fast.cursor.error(
        .longerThanInterval,
        "fast_interval \(durationText(fast.value)) is longer than interval \(durationText(interval))",
        expected: ["100ms to \(durationText(interval))"],
        related: check.timing.interval.map { ($0.cursor, "the interval is set") })
    }
    let (hold, limit) = (check.timing.hold, check.timing.limit)
    let first = hold?.value ?? standard.damping.hold
    let longest = limit?.value ?? standard.damping.limit
    guard first > longest, let location = hold ?? limit else { return }
    location.cursor.error(
      .longerThanLimit,
      "damping.hold \(durationText(first)) is longer than damping.limit \(durationText(longest))",
      expected: ["hold of up to \(durationText(longest))", "limit of at least \(durationText(first))"],
      related: hold == nil ? nil : limit.map { ($0.cursor, "the limit is set") })
  }

  /// Whether method and body fit where one comes from the pool and the other from the defaults. Where both come from
  /// one mapping, its reader has reported it.
  private func checkRequest(of check: CheckDraft, own: CheckDraft?) {
    guard let method = check.method, let body = check.body, method.value == .head else { return }
    switch (own?.method != nil, own?.body != nil) {
    case (true, false): method.cursor.reportBodyOfHead(because: (body.cursor, "a body is expected"))
    case (false, true): body.cursor.reportBodyOfHead(because: (method.cursor, "HEAD is asked for"))
    case (true, true), (false, false): break
    }
  }

  private func checkAnswer(of check: CheckDraft) {
    guard check.type == .probe(.dns), let answer = check.answer else { return }
    let type: DNSQuestion.RecordType = answer.value.family == .v4 ? .a : .aaaa
    if (check.recordType ?? .a) != type {
      answer.cursor.error(
        .wrongFamily,
        "no record of type \((check.recordType ?? .a).rawValue) holds the address \(answer.value)",
        suggestion: "qtype: \(type.rawValue)")
    }
    if let code = check.responseCode, code != .noError {
      answer.cursor.error(
        .conflictingKeys, "\(code.rawValue) is expected: there is no answer then",
        expected: ["answer with expect: NOERROR", "expect: \(code.rawValue) without answer"])
    }
  }

  private func checkDestinations(of check: CheckDraft, in pool: PoolDraft, _ users: [ServiceDraft]) {
    let isDirect = check.via?.value == .direct
    if isDirect { checkVIPsAreNotSet(in: check, own: pool.health.check) }
    guard isDirect || !users.isEmpty else {
      check.cursor.warning(
        .nobodyToCheck,
        "no service uses pool \"\(pool.name.value)\": there is no VIP to probe its backends at, and none is probed"
      )
      return
    }
    // Where a service's lists could not be read it is not known what is missing.
    guard users.allSatisfy({ !$0.vips.isEmpty && !$0.ports.isEmpty }) else { return }
    if isDirect {
      var ports = ProbePorts()
      for user in users { ports.add(user.ports) }
      checkPort(of: check, ports, "pool \"\(pool.name.value)\"")
    } else {
      checkVIPs(of: check, pool.name.value, users)
    }
  }

  /// Where the pool's own check sets one of two keys that exclude each other, the report is about that one.
  private func checkVIPsAreNotSet(in check: CheckDraft, own: CheckDraft?) {
    guard let vips = check.vips, let via = check.via else { return }
    let isOwn = own == nil || own?.vips != nil
    (isOwn ? vips.cursor : via.cursor).error(
      .conflictingKeys, "probes with via: direct go to the backends' own addresses, not to VIPs",
      expected: ["vips with via: tunnel", "via: direct without vips"],
      related: isOwn ? (via.cursor, "via is set") : (vips.cursor, "VIPs are given"))
  }

  private func checkVIPs(of check: CheckDraft, _ pool: String, _ users: [ServiceDraft]) {
    var ports: [IPAddress: ProbePorts] = [:]
    var order: [IPAddress] = []
    for service in users {
      var own = ProbePorts()
      own.add(service.ports)
      for vip in service.vips {
        if ports[vip.value] == nil { order.append(vip.value) }
        ports[vip.value, default: ProbePorts()].add(own)
      }
    }
    let unknown = (check.vips?.value ?? []).filter { ports[$0.value] == nil }
    let known = unknown.isEmpty ? [] : order.map(\.description)
    for vip in unknown {
      vip.cursor.error(
        .unknownVIP, "no service of pool \"\(pool)\" has the VIP \(vip.value)",
        expected: Array(known.prefix(8)),
        suggestion: vip.cursor.findings.nearest(to: vip.value.description, among: known))
    }
    for vip in check.vips?.value.map(\.value) ?? order {
      guard let ports = ports[vip] else { continue }
      // One port mends all of them.
      if !checkPort(of: check, ports, "VIP \(vip)") { return }
    }
  }

  /// - Returns: whether a probe has a port to go to.
  @discardableResult private func checkPort(
    of check: CheckDraft, _ ports: ProbePorts, _ location: String
  ) -> Bool {
    // A question that could not be read has no transport.
    guard check.port == nil, let transport = check.kind?.transport else { return true }
    let range = transport == .tcp ? ports.tcp : ports.udp
    guard range == nil || range?.value.ports == 0...0 else { return true }
    let why = range == nil ? "has no port of \(transport.name)" : "takes any port of \(transport.name)"
    check.cursor.error(
      .missingPort, "\(location) \(why): the check has to name the port to probe",
      expected: ["port: 1 to 65535"],
      related: range.map { ($0.cursor, "the service's ports are") })
    return false
  }
}

/// The first range of ports of each transport protocol, which determines the port that probes go to. Any port names
/// none, and is kept only as long as there is no other range.
private struct ProbePorts {
  var tcp: Located<PortRange>?
  var udp: Located<PortRange>?

  mutating func add(_ ranges: [Located<PortRange>]) {
    for range in ranges { add(range) }
  }

  mutating func add(_ other: ProbePorts) { add([other.tcp, other.udp].compactMap(\.self)) }

  private mutating func add(_ range: Located<PortRange>) {
    let path = range.value.transport == .tcp ? \Self.tcp : \Self.udp
    let known = self[keyPath: path]
    if known == nil || known?.value.ports == 0...0 && range.value.ports != 0...0 {
      self[keyPath: path] = range
    }
  }
}
