// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// Whether checks fit to the pools and services that they are of.

/// How many more VIPs that no service has are reported: each is compared with all that are known.
private struct UnknownVIPs {
  var left: Int
}

extension Draft {
  func checkHealth() {
    let servicesByPool = Dictionary(grouping: services) { $0.pool?.value ?? "" }
    // Whoever makes a hundred such mistakes made one of another kind.
    var unknown = UnknownVIPs(left: 100)
    for pool in pools {
      guard let check = check(of: pool) else {
        checkIsNeeded(by: pool)
        continue
      }
      checkTimes(of: check)
      checkRequest(of: check)
      checkAnswer(of: check)
      checkDestinations(of: check, pool.name.value, servicesByPool[pool.name.value] ?? [], &unknown)
      if let authorities = check.tlsAuthorities, !isReadable(authorities.value) {
        authorities.cursor.warning(
          .unreadableAuthorities, "cannot read \(authorities.value): probes will fail until it can be")
      }
    }
  }

  /// What only health decides does nothing where nobody asks for it.
  private func checkIsNeeded(by pool: PoolDraft) {
    // A check that was written wrongly was meant.
    guard pool.health.check?.typeIsKnown != false else { return }
    let places = [
      ("hysteresis", pool.health.hysteresis?.cursor), ("on_insufficient", pool.health.onInsufficient?.cursor),
      ("guard", pool.health.guardPlace),
    ]
    for case (let key, let cursor?) in places {
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
    guard first > longest, let place = hold ?? limit else { return }
    place.cursor.error(
      .longerThanLimit,
      "damping.hold \(durationText(first)) is longer than damping.limit \(durationText(longest))",
      expected: ["hold of up to \(durationText(longest))", "limit of at least \(durationText(first))"],
      related: hold == nil ? nil : limit.map { ($0.cursor, "the limit is set") })
  }

  /// Method and body that do not come from the same mapping: where they do, its reader has told already.
  private func checkRequest(of check: CheckDraft) {
    guard let method = check.method, let body = check.body, method.value == .head else { return }
    switch (check.says(method.cursor), check.says(body.cursor)) {
    case (true, false): method.cursor.reportBodyOfHead(because: (body.cursor, "a body is expected"))
    case (false, true): body.cursor.reportBodyOfHead(because: (method.cursor, "HEAD is asked for"))
    case (true, true), (false, false): break
    }
  }

  private func checkAnswer(of check: CheckDraft) {
    guard check.type == .dns, let answer = check.answer else { return }
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

  private func checkDestinations(
    of check: CheckDraft, _ pool: String, _ users: [ServiceDraft], _ unknown: inout UnknownVIPs
  ) {
    let isDirect = check.way?.value == .direct
    if isDirect { checkVIPsAreNotSaid(in: check) }
    guard isDirect || !users.isEmpty else {
      check.cursor.warning(
        .nobodyToCheck,
        "no service uses pool \"\(pool)\": there is no VIP to probe its backends at, and nobody is probed")
      return
    }
    // Where a service's lists could not be read it is not known what is missing.
    guard users.allSatisfy({ !$0.vips.isEmpty && !$0.ports.isEmpty }) else { return }
    if isDirect {
      checkPort(of: check, users.flatMap(\.ports), "pool \"\(pool)\"")
    } else {
      checkVIPs(of: check, pool, users, &unknown)
    }
  }

  /// Of two levels the pool's is the one that does not fit.
  private func checkVIPsAreNotSaid(in check: CheckDraft) {
    guard let vips = check.vips, let way = check.way else { return }
    let isOwn = check.says(vips.cursor)
    (isOwn ? vips.cursor : way.cursor).error(
      .conflictingKeys, "probes with via: direct go to the backends' own addresses, not to VIPs",
      expected: ["vips with via: tunnel", "via: direct without vips"],
      related: isOwn ? (way.cursor, "via is set") : (vips.cursor, "VIPs are given"))
  }

  private func checkVIPs(
    of check: CheckDraft, _ pool: String, _ users: [ServiceDraft], _ unknown: inout UnknownVIPs
  ) {
    var ports: [IPAddress: [Placed<PortRange>]] = [:]
    var order: [IPAddress] = []
    for service in users {
      for vip in service.vips {
        if ports[vip.value] == nil { order.append(vip.value) }
        ports[vip.value, default: []] += service.ports
      }
    }
    let known = order.map(\.description)
    for vip in check.vips?.value ?? [] where ports[vip.value] == nil {
      guard unknown.left > 0 else { return }
      unknown.left -= 1
      vip.cursor.error(
        .unknownVIP, "no service of pool \"\(pool)\" has the VIP \(vip.value)",
        expected: Array(known.prefix(8)),
        suggestion: nearestMatch(to: vip.value.description, among: known))
    }
    for vip in check.vips?.value.map(\.value) ?? order {
      guard let ports = ports[vip] else { continue }
      // One port mends all of them.
      if !checkPort(of: check, ports, "VIP \(vip)") { return }
    }
  }

  /// - Returns: whether a probe has a port to go to.
  @discardableResult private func checkPort(
    of check: CheckDraft, _ ports: [Placed<PortRange>], _ place: String
  ) -> Bool {
    // A question that could not be read has no transport.
    guard check.port == nil, let transport = check.kind?.transport else { return true }
    let range = ports.first { $0.value.transport == transport }
    guard range == nil || range?.value.ports == 0...0 else { return true }
    let why = range == nil ? "has no port of \(transport.name)" : "takes any port of \(transport.name)"
    check.cursor.error(
      .missingPort, "\(place) \(why): the check has to name the port to probe",
      expected: ["port: 1 to 65535"],
      related: range.map { ($0.cursor, "the service's ports are") })
    return false
  }
}
