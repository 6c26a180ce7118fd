// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

extension Draft {
  /// A pool's health with what the defaults add.
  func health(of pool: PoolDraft) -> HealthPolicy {
    let (own, common) = (pool.health, defaults.health)
    var policy = HealthPolicy(check: check(of: pool)?.check)
    if let hysteresis = own.hysteresis ?? common.hysteresis { policy.hysteresis = hysteresis.value }
    if let choice = own.onInsufficient ?? common.onInsufficient { policy.onInsufficient = choice.value }
    if let share = own.guardShare ?? common.guardShare { policy.guard.share = share }
    if let interval = own.guardInterval ?? common.guardInterval { policy.guard.interval = interval.value }
    return policy
  }

  /// A pool's check with what the defaults add; nil where nothing is checked.
  func check(of pool: PoolDraft) -> CheckDraft? {
    guard let own = pool.health.check else { return defaults.health.check.flatMap(asked) }
    return asked(defaults.health.check.map(own.completed) ?? own)
  }

  private func asked(_ check: CheckDraft) -> CheckDraft? {
    check.type?.probe == nil ? nil : check
  }
}

extension CheckDraft {
  /// The check with the values that it inherits from `defaults.check`. Timings are always inherited; other keys only if
  /// the defaults have the same type, or none: then they hold no key that belongs to a type.
  func completed(from common: CheckDraft) -> CheckDraft {
    var check = self
    check.timing = timing.completed(from: common.timing)
    guard common.typeIsKnown, common.type == nil || type == common.type else { return check }
    check.via = via ?? common.via
    check.vips = vips ?? common.vips
    // Echo requests have no ports: that of the defaults is for others.
    check.port = port ?? (type == .probe(.icmp) ? nil : common.port)
    check.start = start ?? common.start
    check.isFullSize = isFullSize ?? common.isFullSize
    check.method = method ?? common.method
    check.path = path ?? common.path
    check.host = host ?? common.host
    check.statuses = statuses ?? common.statuses
    check.body = body ?? common.body
    check.tlsIsVerified = tlsIsVerified ?? common.tlsIsVerified
    check.tlsAuthorities = tlsAuthorities ?? common.tlsAuthorities
    check.query = query ?? common.query
    check.recordType = recordType ?? common.recordType
    check.transport = transport ?? common.transport
    check.responseCode = responseCode ?? common.responseCode
    check.answer = answer ?? common.answer
    check.payload = payload ?? common.payload
    check.reply = reply ?? common.reply
    return check
  }

  /// nil where there is no type, or a required key is missing.
  var check: HealthCheck? {
    guard let kind else { return nil }
    var check = HealthCheck(kind: kind, vips: vips?.value.map(\.value), port: port)
    if let via { check.via = via.value }
    if let start { check.start = start }
    if let isFullSize { check.isFullSize = isFullSize }
    timing.apply(to: &check)
    return check
  }

  var kind: HealthCheck.Kind? {
    switch type?.probe {
    case .tcp: .tcp
    case .http: .http(httpQuestion)
    case .https:
      .http(
        httpQuestion.over(
          HTTPQuestion.TLS(isVerified: tlsIsVerified ?? true, authorities: tlsAuthorities?.value)))
    case .dns:
      query.map { name in
        .dns(
          DNSQuestion(
            name: name, type: recordType ?? .a, transport: transport ?? .udp,
            expected: responseCode ?? .noError,
            answer: answer?.value))
      }
    case .udp: payload.map { .udp(DatagramQuestion(payload: $0, reply: reply)) }
    case .icmp: .icmp
    case nil: nil
    }
  }

  private var httpQuestion: HTTPQuestion {
    var question = HTTPQuestion(host: host, body: body?.value)
    if let method { question.method = method.value.rawValue }
    if let path { question.path = path }
    if let statuses { question.expected = statuses }
    return question
  }
}

extension HTTPQuestion {
  fileprivate func over(_ tls: TLS) -> HTTPQuestion {
    var question = self
    question.tls = tls
    return question
  }
}

extension CheckTiming {
  fileprivate func completed(from common: CheckTiming) -> CheckTiming {
    var timing = self
    timing.interval = interval ?? common.interval
    timing.timeout = timeout ?? common.timeout
    timing.rise = rise ?? common.rise
    timing.fall = fall ?? common.fall
    timing.fastInterval = fastInterval ?? common.fastInterval
    timing.jitter = jitter ?? common.jitter
    timing.hold = hold ?? common.hold
    timing.limit = limit ?? common.limit
    timing.memory = memory ?? common.memory
    return timing
  }

  fileprivate func apply(to check: inout HealthCheck) {
    if let interval { check.interval = interval.value }
    if let timeout { check.timeout = timeout.value }
    if let rise { check.rise = rise }
    if let fall { check.fall = fall }
    check.fastInterval = fastInterval?.value
    if let jitter { check.jitter = Double(jitter) / 100 }
    if let hold { check.damping.hold = hold.value }
    if let limit { check.damping.limit = limit.value }
    if let memory { check.damping.memory = memory.value }
  }
}
