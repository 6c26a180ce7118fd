// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// Keys of health checks. `docs/health.md` says how checks are judged.

extension KeyTable {
  static let check = ConfigurationKey(
    "check", .section(checkSection), .none, isShared: true, "How the health of the backends is checked.")

  static let checkSection = KeySection("check", commonCheckKeys + typedCheckKeys)

  private static var probeActions: String {
    ProbeType.allCases.map { "`\($0.rawValue)`: \($0.action)." }.joined(separator: " ")
  }

  static let commonCheckKeys = [
    ConfigurationKey(
      "type", .words(of: CheckType.self), .described("required, unless `defaults.check` has one"),
      "What a probe does. \(probeActions) `none`: the pool is not checked."),
    ConfigurationKey(
      "via", .words(of: HealthCheck.Via.self), .value("tunnel"),
      """
      `tunnel`: probes go to the VIP, encapsulated like clients' packets. `direct`: probes go to the backend's own address.
      """),
    ConfigurationKey(
      "vips", .list(.address, minimum: 1), .described("all VIPs of the pool's services"), label: "VIP",
      "VIPs to probe; each must belong to a service of the pool. Not with `via: direct`."),
    ConfigurationKey(
      "port", .integer(1...65_535),
      .described("that of the pool's first service at the VIP that has a port and the probe's transport"),
      "Required where there is no such service. Not for `icmp`."),
    ConfigurationKey(
      "interval", .duration(.milliseconds(100) ... .seconds(3600)), .value("2s"),
      "From the start of a probe to the start of the next, unless `timeout` is longer and the probe has not ended."
    ),
    ConfigurationKey(
      "timeout", .duration(HealthCheck.timeouts), .value("1s"),
      """
      From the start of a probe to its last octet. It may be longer than `interval`: the next probe then waits for the end \
      of this one.
      """),
    ConfigurationKey(
      "rise", .integer(1...100), .value("2"), "A backend that is down is up after this many passes in a row."),
    ConfigurationKey(
      "fall", .integer(1...100), .value("3"),
      """
      A backend that is up is down after this many failures in a row. A dead backend is down at the latest after \
      `interval` + (`fall` − 1) × max(`interval`, `timeout`) + `timeout`: with the defaults after 7 s.
      """),
    ConfigurationKey(
      "fast_interval", .duration(.milliseconds(100) ... .seconds(3600)), .described("`interval`"),
      "The interval while a change of state is pending. Not longer than `interval`."),
    ConfigurationKey(
      "jitter", .percent(0...90), .value("20%"),
      "The largest part of the interval that is subtracted at random."
    ),
    ConfigurationKey(
      "on_start", .words(of: HealthCheck.Start.self), .value("down"),
      """
      The state of a backend that was never checked. With `down`, a new pool gets its services when its backends have \
      their [first verdicts](health.md#first-verdicts).
      """),
    ConfigurationKey("damping", .section(damping), .none, "How long a backend that flaps is held down."),
  ]

  private static let damping = KeySection(
    "damping",
    [
      ConfigurationKey(
        "hold", .duration(.zero ... .seconds(86_400)), .value("10s"),
        """
        A backend that goes down for the second time stays down at least this long, and twice as long each further time. 0s: \
        off. Not longer than `damping.limit`.
        """),
      ConfigurationKey("limit", .duration(.zero ... .seconds(86_400)), .value("5m"), "The longest hold."),
      ConfigurationKey(
        "memory", .duration(.seconds(1) ... .seconds(ValueType.week)), .value("10m"),
        "A backend that goes down this long after it last went down is not held, as for the first time."),
    ])

  private static let web: [ProbeType] = [.http, .https]

  private static let typedCheckKeys = [
    ConfigurationKey(
      "full_size", .boolean, .value("false"), of: [.http, .https, .icmp],
      """
      `true`: one packet of each probe is as large as the tunnel carries, so that a path with a lower MTU is found.
      """),
    ConfigurationKey(
      "method", .words(of: HTTPMethod.self), .value("GET"), of: web, "The method of the request."),
    ConfigurationKey(
      "path", .other(pattern: "^/[!\"$-~]*$"), .value("/"), of: web,
      "Path and query: printable ASCII without space and `#`, up to 2048 octets."),
    ConfigurationKey(
      "host", .other(pattern: nil), .described("the address that is probed"), of: web,
      """
      The Host header: a DNS name or an address (IPv6 in brackets), with or without a port. A name is also sent as the TLS \
      server name (SNI).
      """),
    ConfigurationKey(
      "expect", .expectation, .described("`200-299`; dns: `NOERROR`"), of: [.http, .https, .dns],
      """
      What passes. `http`, `https`: a status from 100 to 599 (`204`), a range (`200-299`), or a list of such. `dns`: a \
      response code.
      """),
    ConfigurationKey(
      "body", .text(1...4096), .none, of: web,
      "Text that the first 64 KiB of the body must contain. Not with `HEAD`."),
    ConfigurationKey(
      "tls_verify", .boolean, .value("true"), of: [.https],
      "Whether the certificate must be valid for `host`, or for the probed address where there is no `host`."),
    ConfigurationKey(
      "tls_ca", .absolutePath, .described("the system's"), of: [.https],
      "PEM file of the certificate authorities to trust. A warning if it cannot be read."),
    ConfigurationKey(
      "query", .other(pattern: nil), .described("required"), of: [.dns],
      "The name to ask for; `.` is the root."),
    ConfigurationKey(
      "qtype", .words(of: DNSQuestion.RecordType.self), .value("A"), of: [.dns], "The type of record."),
    ConfigurationKey(
      "transport", .words(["udp", "tcp"]), .value("udp"), of: [.dns], "What carries the query."),
    ConfigurationKey(
      "answer", .address, .none, of: [.dns],
      "An address that a record of the answer must have. Of the family of `qtype`, and with `NOERROR` only."),
    ConfigurationKey(
      "send", .text(1...1200), .described("this or `send_hex` is required"), of: [.udp],
      "The datagram as text."),
    ConfigurationKey("send_hex", .octets(1...1200), .none, of: [.udp], "The datagram in hexadecimal digits."),
    ConfigurationKey(
      "reply", .text(1...1200), .described("any reply passes"), of: [.udp],
      "Text that the reply must contain."),
    ConfigurationKey(
      "reply_hex", .octets(1...1200), .none, of: [.udp], "Octets that the reply must contain."),
  ]
}

extension ProbeType {
  /// What a probe does, for the reference.
  fileprivate var action: String {
    switch self {
    case .tcp: "opens a connection"
    case .http: "sends a request and judges the response"
    case .https: "the same over TLS"
    case .dns: "sends a query and judges the answer"
    case .udp: "sends a datagram and awaits a reply"
    case .icmp: "sends an echo request"
    }
  }
}
