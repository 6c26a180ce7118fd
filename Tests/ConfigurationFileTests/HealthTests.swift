// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import LoadBalancing
import Testing

/// What files say of health, as it arrives in pools.
@Suite struct HealthTests {
  /// The health of the pool of web servers.
  private func health(_ pool: String, defaults: String? = nil) throws -> HealthPolicy {
    var text = goodText.replacingFirst("hash: flow\n", with: "hash: flow\n    \(pool)\n")
    if let defaults {
      text = text.replacingFirst(
        "  affinity: { learn: 2h }\n", with: "  affinity: { learn: 2h }\n  \(defaults)\n"
      )
      .replacingFirst("hash: source\n", with: "hash: source\n    check: { type: none }\n")
    }
    let report = parse(text)
    #expect(report.errors.map { $0.rendered() } == [])
    return try #require(report.configuration?.desired.pool(named: "web")).health
  }

  @Test func nothingSaid() throws {
    #expect(try health("") == HealthPolicy())
    #expect(try health("check: { type: none, interval: 1s }") == HealthPolicy())
  }

  @Test func defaultsAreTheTypesOwn() throws {
    #expect(try health("check: { type: tcp }").check == HealthCheck(kind: .tcp))
    #expect(try health("check: { type: http }").check == HealthCheck(kind: .http(HTTPQuestion())))
    #expect(
      try health("check: { type: https }").check == HealthCheck(kind: .http(HTTPQuestion(tls: .init()))))
    #expect(
      try health("check: { type: dns, query: a.example., port: 53 }").check
        == HealthCheck(kind: .dns(DNSQuestion(name: "a.example")), port: 53))
    #expect(
      try health("check: { type: udp, send: ping }").check
        == HealthCheck(kind: .udp(DatagramQuestion(payload: Array("ping".utf8)))))
    #expect(try health("check: { type: icmp }").check == HealthCheck(kind: .icmp))
  }

  @Test(arguments: ["check: ¦TYPE", "check: { type: ¦https, path: /up }"])
  func `https is refused by a build without TLS, where it is written`(_ pool: String) throws {
    let written = pool.replacing("check: ¦TYPE", with: "check: { interval: 5s }")
    var text = goodText.replacingFirst("hash: flow\n", with: "hash: flow\n    \(written)\n")
    if written != pool {
      text = text.replacingFirst("defaults:\n", with: "defaults:\n  check: { type: ¦https }\n")
        .replacingFirst("hash: source\n", with: "hash: source\n    check: { type: none }\n")
    }
    let (clean, places) = text.takingMarks()
    #expect(parse(clean).configuration != nil)
    let report = parse(clean, build: BuildCapabilities(hasTLS: false))
    #expect(report.configuration == nil)
    #expect(report.errors.map(\.brief) == places.map { "\($0) not-in-this-build" })
    let error = try #require(report.errors.first)
    #expect(error.path.hasSuffix("check.type"))
    #expect(error.message.contains("this build has none: build with the default traits"))
  }

  @Test func everyKeyArrives() throws {
    let policy = try health(
      """
      check:
            type: https
            via: tunnel
            vips: [192.0.2.10]
            port: 8443
            interval: 1500ms
            timeout: 5s
            rise: 4
            fall: 5
            fast_interval: 250ms
            jitter: 0%
            on_start: up
            full_size: true
            damping: { hold: 1s, limit: 2m, memory: 1h }
            method: GET
            path: /healthz?full=1
            host: www.example.com:8443
            expect: [200-299, 304]
            body: "all: well"
            tls_verify: false
            tls_ca: /dev/null
          hysteresis: 2
          on_insufficient: keep
          guard: { share: 25%, interval: 90s }
      """)
    let question = HTTPQuestion(
      method: "GET", path: "/healthz?full=1", host: "www.example.com:8443", expected: [200...299, 304...304],
      body: "all: well", tls: .init(isVerified: false, authorities: "/dev/null"))
    let check = HealthCheck(
      kind: .http(question), via: .tunnel, vips: [.v4(192, 0, 2, 10)], port: 8443,
      interval: .milliseconds(1500), timeout: .seconds(5), rise: 4, fall: 5, fastInterval: .milliseconds(250),
      jitter: 0, start: .up, isFullSize: true,
      damping: Damping(hold: .seconds(1), limit: .seconds(120), memory: .seconds(3600)))
    #expect(
      policy
        == HealthPolicy(
          check: check, hysteresis: 2, onInsufficient: .keep,
          guard: HealthGuard(share: 25, interval: .seconds(90))))
  }

  @Test func questionsOfDNSAndDatagrams() throws {
    let dns = "{ type: dns, port: 53, query: a, qtype: AAAA, transport: tcp, answer: '2001:db8::1' }"
    #expect(
      try health("check: \(dns)").check?.kind
        == .dns(DNSQuestion(name: "a", type: .aaaa, transport: .tcp, answer: IPAddress("2001:db8::1"))))
    #expect(
      try health("check: { type: udp, send_hex: 0aFF, reply_hex: '00' }").check?.kind
        == .udp(DatagramQuestion(payload: [0x0A, 0xFF], reply: [0])))
  }

  @Test func aPoolWithoutCheckHasTheDefaults() throws {
    let policy = try health(
      "", defaults: "check: { type: http, path: /up, port: 80 }\n  hysteresis: 3")
    #expect(policy.check == HealthCheck(kind: .http(HTTPQuestion(path: "/up")), port: 80))
    #expect(policy.hysteresis == 3)
  }

  @Test func aCheckOfTheSameTypeAddsToTheDefaults() throws {
    let defaults = "check: { type: http, path: /up, port: 8080, fall: 7, damping: { hold: 1s } }"
    let check = try health("check: { host: a.example, damping: { limit: 1m } }", defaults: defaults).check
    let expected = HealthCheck(
      kind: .http(HTTPQuestion(path: "/up", host: "a.example")), port: 8080, fall: 7,
      damping: Damping(hold: .seconds(1), limit: .seconds(60)))
    #expect(check == expected)
  }

  @Test func aCheckOfAnotherTypeTakesTimesOnly() throws {
    let defaults = "check: { type: http, path: /up, port: 8080, via: direct, on_start: up, fall: 7 }"
    #expect(try health("check: { type: tcp }", defaults: defaults).check == HealthCheck(kind: .tcp, fall: 7))
    #expect(try health("check: { type: none }", defaults: defaults).check == nil)
  }

  @Test func defaultsOfTimesAlone() throws {
    let defaults = "check: { interval: 7s }"
    #expect(
      try health("check: { type: tcp }", defaults: defaults).check
        == HealthCheck(kind: .tcp, interval: .seconds(7)))
    #expect(try health("", defaults: defaults).check == nil)
  }

  /// Any port is no port to probe, and does not hide the port of another range or service.
  @Test(arguments: [
    "[{ name: a, vips: [192.0.2.1], ports: [any/tcp], pool: web }, { name: b, vips: [192.0.2.1], ports: [443/tcp], pool: web }]",
    "[{ name: b, vips: [192.0.2.1], ports: [443/tcp], pool: web }, { name: a, vips: [192.0.2.1], ports: [any/tcp], pool: web }]",
  ])
  func aPortBesideAnyPortIsProbed(services: String) {
    let report = parse(
      """
      version: 1
      interfaces: [{ name: eth0 }]
      hash_seed: a secret of the tests
      pools: { web: { check: { type: tcp }, backends: [{ name: b, address: 10.0.0.1 }] } }
      services: \(services)
      """)
    #expect(report.errors.map { $0.rendered() } == [])
  }

  @Test func messagesNameTypesAndVIPs() throws {
    func rendered(_ check: String) -> String {
      parse(goodText.replacingFirst("hash: source\n", with: "hash: source\n    check: \(check)\n")).rendered()
    }
    #expect(rendered("{ type: tcp, port: 1, query: x }").contains("\"query\" is a key of checks of type dns"))
    #expect(rendered("{ type: tcp }").contains("VIP 192.0.2.53 takes any port of tcp"))
    #expect(rendered("{ type: tcp, port: 1, vips: [192.0.2.54] }").contains("did you mean \"192.0.2.53\"?"))
  }
}
