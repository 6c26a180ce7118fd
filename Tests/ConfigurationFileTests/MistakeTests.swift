// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Testing

/// One change to ``goodText``, and what it must lead to. `¦` marks where each diagnostic points to.
struct Mistake: Sendable, CustomTestStringConvertible {
  let part: String
  let replacement: String
  let codes: [String]

  init(_ part: String, _ replacement: String, _ codes: String...) { self.init(part, replacement, codes) }

  init(_ part: String, _ replacement: String, _ codes: [String]) {
    self.part = part
    self.replacement = replacement
    self.codes = codes
  }

  var testDescription: String { "\(codes.joined(separator: ", ")): \(replacement)" }
}

private let web1 = "{ name: web1, address: 10.0.0.11, weight: 100, state: ready }"
private let ns1 = "{ name: ns1, address: 10.0.0.53 }"
private let dnsPorts = "[53/udp, 5300-5303/udp, any/tcp]"

let mistakes: [Mistake] = [
  // Keys.
  Mistake("version: 1\n", "¦verison: 1\n", "unknown-key"),
  Mistake("node: { name: lb1 }", "node: { ¦nmae: lb1 }", "unknown-key"),
  Mistake("mode: auto", "¦gateway: auto", "unknown-key"),
  Mistake("type: ipip, ", "¦prot: 9886, ", "unknown-key"),
  Mistake("type: ipip, ", "¦port: 9886, ", "key-of-other-type"),
  Mistake("type: ipip, ", "type: gre, ¦port: 9886, ¦variant: 1, ", "key-of-other-type", "key-of-other-type"),
  Mistake("type: ipip, ", "type: gue, ¦port6: 9886, ", "key-of-other-type"),
  Mistake("type: ipip, ", "type: fou, ¦variant: 0, ", "key-of-other-type"),
  Mistake("type: ipip, ", "type: gue, variant: ¦2, ", "out-of-range"),
  Mistake("type: ipip, ", "type: gue, port: ¦0, ", "out-of-range"),
  Mistake("type: ipip, ", "type: ¦geu, variant: 0, ", "invalid-value"),
  Mistake("encapsulation: { source6", "encapsulation: { ¦port: 1, source6", "key-of-other-type"),
  Mistake("affinity: { learn: 2h }", "¦affinty: { learn: 2h }", "unknown-key"),
  Mistake("flows: 4096", "¦flow: 4096", "unknown-key"),
  Mistake("group: sluice-admin", "¦groups: sluice-admin", "unknown-key"),
  Mistake("listen: ", "¦address: ", "unknown-key"),
  Mistake("pins: ", "¦pin: ", "unknown-key"),
  Mistake("hash: flow\n", "¦checks: { type: tcp }\n", "unknown-key"),
  Mistake(
    "affinity: { mode: all, tcp_idle: 1h, udp_idle: 30s, on_gone: reset }", "¦flags: [quic_cid]",
    "unknown-key"),
  Mistake("mode: all, ", "¦settle: 2h, ", "unknown-key"),
  Mistake("on_gone: reset", "¦gone: reset", "unknown-key"),
  Mistake("settle: 3h", "¦setle: 3h", "unknown-key"),
  Mistake("quiet: 90s", "¦quite: 90s", "unknown-key"),
  Mistake("version: 1\n", "¦", "missing-key"),
  Mistake("hash_seed:", "¦hash_sed:", "unknown-key"),
  Mistake("interfaces:\n  - { name: eth0, mode: auto, next_hop: auto }\n", "", "missing-key"),
  Mistake(ns1, "¦{ address: 10.0.0.53 }", "missing-key"),
  Mistake(ns1, "¦{ ¦adress: 10.0.0.53 }", "missing-key", "unknown-key"),
  Mistake("- name: dns\n    vips", "- ¦vips", "missing-key"),
  Mistake("    ports: \(dnsPorts)\n", "", "missing-key"),
  Mistake("hash: flow", "hash: flow\n    ¦hash: source", "duplicate-key"),
  Mistake("hash: flow", "\"hash\": flow\n    ¦hash: source", "duplicate-key"),
  Mistake("hash: flow", "hash: flow\n    ¦hash: source\n    ¦hash: flow", "duplicate-key", "duplicate-key"),
  // Types.
  Mistake("version: 1\n", "version: ¦1.0\n", "unsupported-version"),
  Mistake("node: { name: lb1 }", "node: ¦lb1", "wrong-type"),
  Mistake("node: { name: lb1 }", "node: { name: ¦[lb1] }", "wrong-type"),
  Mistake("- \(ns1)", "¦ns1: { address: 10.0.0.53 }", "wrong-type"),
  Mistake("- \(ns1)", "- ¦10.0.0.53", "wrong-type"),
  Mistake("[192.0.2.53]", "¦192.0.2.53", "wrong-type"),
  Mistake("[192.0.2.53]", "[¦[192.0.2.53]]", "wrong-type"),
  Mistake("[192.0.2.53]", "¦[]", "empty-list"),
  Mistake("name: lb1 }", "name: ¦}", "missing-value"),
  Mistake("mode: auto", "mode: ¦~", "missing-value"),
  Mistake("\n  - { name: eth0, mode: auto, next_hop: auto }", " ¦[]", "empty-list"),
  // Words, numbers, durations.
  Mistake("mode: auto", "mode: ¦offload", "invalid-value"),
  Mistake("hash: source", "hash: ¦src", "invalid-value"),
  Mistake("type: ipip", "type: ¦vxlan", "invalid-value"),
  Mistake("mode: all", "mode: ¦ALL", "invalid-value"),
  Mistake("weight: 100", "weight: ¦-1", "out-of-range"),
  Mistake("weight: 100", "weight: ¦65536", "out-of-range"),
  Mistake("weight: 100", "weight: ¦99999999999999999999", "out-of-range"),
  Mistake("weight: 100", "weight: ¦0x64", "invalid-number"),
  Mistake("weight: 100", "weight: ¦1_000", "invalid-number"),
  Mistake("weight: 100", "weight: ¦1e2", "invalid-number"),
  Mistake("weight: 100", "weight: ¦50%", "invalid-number"),
  Mistake("weight: 100", "weight: ¦\"\"", "invalid-number"),
  Mistake("weight: 100", "weight: ¦１００", "invalid-number"),
  Mistake("flows: 4096", "flows: ¦0", "out-of-range"),
  Mistake("table_size: 1009", "table_size: ¦1000", "not-prime"),
  Mistake("table_size: 1009", "table_size: ¦1048574", "out-of-range"),
  Mistake("learn: 2h", "learn: ¦7200", "invalid-duration"),
  Mistake("learn: 2h", "learn: ¦2d", "invalid-duration"),
  Mistake("learn: 2h", "learn: ¦1.5h", "invalid-duration"),
  Mistake("learn: 2h", "learn: ¦1h30m", "invalid-duration"),
  Mistake("learn: 2h", "learn: ¦h", "invalid-duration"),
  Mistake("learn: 2h", "learn: ¦169h", "out-of-range"),
  Mistake("settle: 3h", "settle: ¦9s", "out-of-range"),
  Mistake("settle: 3h", "settle: ¦169h", "out-of-range"),
  Mistake("tcp_idle: 1h", "tcp_idle: ¦9s", "out-of-range"),
  Mistake("timeout: 20m", "timeout: ¦0s", "out-of-range"),
  Mistake("quiet: 90s", "quiet: ¦2h", "out-of-range"),
  Mistake("drain: { timeout: 20m, quiet: 90s }", "drain: ¦20m", "wrong-type"),
  Mistake("on_gone: reset", "on_gone: ¦rst", "invalid-value"),
  Mistake("require: 50%", "require: ¦101%", "invalid-value"),
  Mistake("require: 50%", "require: ¦\"%\"", "invalid-value"),
  Mistake("require: 50%", "require: ¦half", "invalid-number"),
  Mistake("learn: 2h", "learn: ¦1500ms", "out-of-range"),
  Mistake("udp_idle: 30s", "udp_idle: ¦0s", "out-of-range"),
  Mistake("udp_idle: 30s", "udp_idle: ¦9999999999999999999h", "out-of-range"),
  // Names, addresses, ports, paths.
  Mistake("name: lb1", "name: ¦LB1", "invalid-name"),
  Mistake("name: eth0", "name: ¦averylonginterface", "invalid-name"),
  Mistake("name: eth0", "name: ¦\"eth 0\"", "invalid-name"),
  Mistake("  dns:\n", "  ¦dns pool:\n", "invalid-name", "unused-pool", "unknown-pool"),
  Mistake("name: ns1", "name: ¦-ns1", "invalid-name"),
  Mistake("name: ns1", "name: ¦\(String(repeating: "n", count: 64))", "invalid-name"),
  Mistake("group: sluice-admin", "group: ¦\"sluice admin\"", "invalid-name"),
  Mistake("10.0.0.11", "¦10.0.0.011", "invalid-address"),
  Mistake("10.0.0.11", "¦web1.example.com", "invalid-address"),
  Mistake("10.0.0.11", "¦10.0.0.11/32", "invalid-address"),
  Mistake("10.0.0.11", "¦127.0.0.1", "not-unicast"),
  Mistake("\"2001:db8::10\"", "¦\"ff02::1\"", "not-unicast"),
  Mistake("\"2001:db8::10\"", "¦\"fe80::1%eth0\"", "invalid-address"),
  Mistake("next_hop: auto", "next_hop: ¦gw.example.com", "invalid-address"),
  Mistake("next_hop: auto", "next_hop: ¦ff:ff:ff:ff:ff:ff", "not-unicast"),
  Mistake("next_hop: auto", "next_hop: ¦224.0.0.1", "not-unicast"),
  Mistake("10.255.0.0/16", "¦10.255.0.0/33", "invalid-prefix"),
  Mistake("10.255.0.0/16", "¦10.255.0.1/16", "invalid-prefix"),
  Mistake("10.255.0.0/16", "¦ten", "invalid-prefix"),
  Mistake("10.255.0.0/16", "¦239.0.0.0/8", "not-unicast"),
  Mistake("\"fd00:255::/64\"", "¦10.255.0.0/16", "wrong-family"),
  Mistake(dnsPorts, "[¦53]", "invalid-port"),
  Mistake(dnsPorts, "[¦53/sctp]", "invalid-port"),
  Mistake(dnsPorts, "[¦0/udp]", "invalid-port"),
  Mistake(dnsPorts, "[¦65536/udp]", "invalid-port"),
  Mistake(dnsPorts, "[¦20-10/udp]", "invalid-port"),
  Mistake(dnsPorts, "[¦1000-1256/udp]", "invalid-port"),
  Mistake(dnsPorts, "[¦53/udp/tcp, ¦-/tcp]", "invalid-port", "invalid-port"),
  Mistake("/run/sluice/control.sock", "¦run/sluice/control.sock", "invalid-path"),
  Mistake("/var/lib/sluice", "¦/var/lib/../sluice", "invalid-path"),
  Mistake("/sys/fs/bpf/sluice", "¦/sys/fs/bpf", "invalid-path"),
  Mistake("\"127.0.0.1:9870\"", "¦localhost:9870", "invalid-address"),
  Mistake("\"127.0.0.1:9870\"", "¦\"::1:9870\"", "invalid-address"),
  Mistake("\"127.0.0.1:9870\"", "¦\"0.0.0.0:9870\"", "listen-not-loopback"),
  Mistake("\"a secret of the tests\"", "¦\"short\"", "seed-too-short"),
  Mistake("\"a secret of the tests\"", "¦\"aaaaaaaaaaaaaaaaaaaa\"", "example-seed"),
  Mistake("\"a secret of the tests\"", "¦\"***************** masked *****************\"", "masked-seed"),
  Mistake("hash_seed: \"a secret of the tests\"", "hash_seed_file: ¦/etc/seed", "seed-file"),
  Mistake("hash_seed: \"a secret of the tests\"", "hash_seed_file: ¦seed", "invalid-path"),
  // What must fit together.
  Mistake(
    "status: { socket: /run/sluice/status.sock", "status: { socket: ¦/run/sluice/control.sock", "same-socket"),
  Mistake("name: web2", "name: ¦web1", "duplicate-name"),
  Mistake("- name: dns", "- name: ¦web", "duplicate-name"),
  Mistake("\"2001:db8:1::12\"", "¦10.0.0.11", "duplicate-address"),
  Mistake("[192.0.2.53]", "[192.0.2.53, ¦192.0.2.53]", "duplicate-address"),
  Mistake(dnsPorts, "[53/udp, ¦50-60/udp]", "duplicate-port"),
  Mistake(
    "[192.0.2.53]\n    ports: \(dnsPorts)", "[192.0.2.53, 192.0.2.10]\n    ports: [¦440-450/tcp]",
    "duplicate-service"),
  Mistake("pool: dns", "pool: ¦dsn", "unused-pool", "unknown-pool"),
  Mistake("10.0.0.53", "¦192.0.2.53", "backend-is-vip"),
  Mistake("10.255.0.0/16", "¦10.0.0.0/16", "source-overlap"),
  Mistake("services: 64", "services: 8", "limit-exceeded"),
  Mistake("pools: 8", "pools: 1", "limit-exceeded"),
  Mistake("pairs: 512", "pairs: 191", "limit-exceeded"),
  Mistake("slots: 200000", "slots: 100000", "limit-exceeded"),
  Mistake("slots: 200000", "slots: 131082", "limit-exceeded"),
  Mistake("weight: 100, state: ready", "weight: 0", "no-ready-backend"),
  Mistake("\n      - \(ns1)", " []", "empty-pool"),
  Mistake("settle: 3h", "settle: 20s", "longer-than-settle", "longer-than-settle"),
  Mistake("learn: 2h", "learn: ¦3h", "longer-than-settle"),
  Mistake("udp_idle: 30s", "udp_idle: ¦4h", "longer-than-settle"),
  Mistake("timeout: 20m", "timeout: 1m", "longer-than-timeout"),
  Mistake("timeout: 20m, quiet: 90s", "timeout: ¦30s", "longer-than-timeout"),
  Mistake("require: 50%", "require: ¦51%", "require-unmet"),
  Mistake("require: 50%", "require: ¦2", "require-unmet"),
  // YAML itself.
  Mistake("name: lb1", "name: &n ¦!!str lb1", "tag"),
  Mistake("name: lb1", "name: ¦*lb1", "unknown-alias"),
  Mistake("name: lb1", "? ¦[name] : lb1", "complex-key"),
  Mistake("name: lb1", "<<: ¦lb1", "wrong-type"),
  Mistake("name: lb1", "name: ¦\"l\\u0007b1\"", "control-character"),
  Mistake("name: lb1", "name: ¦\"l\\nb1\"", "control-character"),
  Mistake("name: lb1", "name: l¦\u{1B}b1", "control-character"),
  Mistake("name: lb1", "name: l¦\u{200F}b1", "control-character"),
  Mistake("name: lb1", "name: ¦@lb1", "syntax"),
  Mistake("hash: flow\n", "hash: \"flow\n", "syntax"),
  Mistake("    hash: flow", "¦\thash: flow", "tab"),
]

@Suite struct MistakeTests {
  @Test func thereAreEnough() { #expect(mistakes.count >= 60) }

  @Test(arguments: mistakes + healthMistakes) func mistake(_ mistake: Mistake) {
    let (text, places) = goodText.replacingFirst(mistake.part, with: mistake.replacement).takingMarks()
    let report = parse(text)
    #expect(report.diagnostics.map(\.code.rawValue) == mistake.codes, "\(report.rendered())")
    let found = Set(report.diagnostics.map { "\($0.line):\($0.column)" })
    #expect(found.isSuperset(of: places), "\(places) expected\n\(report.rendered())")
    #expect((report.configuration == nil) == !report.errors.isEmpty)
  }

  @Test func allInOneRun() {
    // Every mistake that is a replacement of its own part, at once.
    var text = goodText
    for part in [
      ("mode: auto", "mode: ¦fast"), ("services: 64", "services: ¦none"),
      ("group: sluice-admin", "¦gruop: sluice-admin"),
      ("/sys/fs/bpf/sluice", "¦/tmp/pins"), ("weight: 100", "¦wieght: 100"), ("10.0.0.53", "¦10.0.0.530"),
      ("[80/tcp", "[¦80/tpc"), ("pool: dns", "pool: ¦dms"),
    ] { text = text.replacingFirst(part.0, with: part.1) }
    let (clean, places) = text.takingMarks()
    let report = parse(clean)
    #expect(report.errors.map { "\($0.line):\($0.column)" } == places, "\(report.rendered())")
    #expect(
      report.errors.map(\.code.rawValue) == [
        "invalid-value", "invalid-number", "unknown-key", "invalid-path", "unknown-key", "invalid-address",
        "invalid-port", "unknown-pool",
      ])
    #expect(report.errors.map(\.suggestion) == [nil, nil, "group", nil, "weight", nil, nil, "dns"])
    #expect(report.errors[4].path == "pools.web.backends[0].wieght")
    #expect(report.errors[4].endColumn == report.errors[4].column + 6)
    #expect(report.errors[4].expected == ["name", "address", "weight", "state"])
  }

  @Test func everyCodeIsTested() throws {
    // Those of files are in LoaderTests, that of builds is in HealthTests, those of sizes are below.
    let elsewhere = [
      "unreadable-file", "too-large", "not-utf8", "not-in-drop-in", "alias-expansion", "too-deep",
      "seed-file-permissions", "small-table", "table-too-small", "conflicting-keys", "too-many-interfaces",
      "not-in-this-build",
    ]
    let covered = Set((mistakes + healthMistakes).flatMap(\.codes) + elsewhere)
    #expect(Diagnostic.Code.allCases.map(\.rawValue).filter { !covered.contains($0) } == [])
  }

  @Test func aliasesExpandToALimitOnly() {
    var text = goodText + "x0: &x0 [a,a,a,a,a,a,a,a,a,a]\n"
    for level in 1...30 {
      text +=
        "x\(level): &x\(level) [" + (0..<10).map { _ in "*x\(level - 1)" }.joined(separator: ",") + "]\n"
    }
    let report = parse(text)
    #expect(report.errors.contains { $0.code == .aliasExpansion })
    // A key that stands for a bomb must not be hashed.
    #expect(parse(text + "*x30 : 1\n").errors.contains { $0.code == .complexKey })
    #expect(parse(text + "? [*x30, *x30]\n: 1\n").errors.contains { $0.code == .complexKey })
  }

  @Test(arguments: [
    String(repeating: "[", count: 500_000),
    String(repeating: "[", count: 900) + String(repeating: "]", count: 900),
    String(repeating: "- ", count: 400_000), String(repeating: "{a: ", count: 100_000),
    String(repeating: "? ", count: 400_000),
    (0..<30).map { String(repeating: " ", count: $0 == 0 ? 0 : $0 + 2) + "a:\n" }.joined(),
  ])
  func deepNesting(text: String) {
    let report = parse("version: 1\npools:\n  " + text)
    #expect(report.configuration == nil)
    #expect(report.errors.contains { $0.code == .tooDeep }, "\(report.errors.map(\.brief))")
  }

  @Test func tablesOfManyBackends() {
    func text(_ count: Int) -> String {
      let backends = (0..<count).map { "    - { name: b\($0), address: 10.1.\($0 / 200).\($0 % 200 + 1) }\n" }
        .joined()
      return "version: 1\ninterfaces: [{ name: eth0 }]\nhash_seed: a secret of the tests\n"
        + "services: [{ name: w, vips: [192.0.2.1], ports: [1/tcp], pool: w }]\n"
        + "pools:\n  w:\n    table_size: 251\n    backends:\n" + backends
    }
    #expect(parse(text(2)).diagnostics == [])
    #expect(parse(text(3)).diagnostics.map(\.brief) == ["7:17 small-table"])
    #expect(parse(text(252)).diagnostics.map(\.brief) == ["7:17 table-too-small"])
  }

  @Test func duplicateKeysWithAnchorsAndInNumbers() {
    // The place is that of the key, not of its anchor.
    let anchored = goodText.replacingFirst("hash: source", with: "&h hash: source\n    hash: flow")
    #expect(parse(anchored).errors.map(\.brief) == ["26:5 duplicate-key"])
    let second = goodText.replacingFirst("hash: source", with: "hash: source\n    &h hash: flow")
    #expect(parse(second).errors.map(\.brief) == ["26:8 duplicate-key"])
    let many = goodText + (0..<40).map { "x\($0 % 20): 1\n" }.joined()
    let errors = parse(many).errors
    #expect(errors.count { $0.code == .duplicateKey } == 20)
    #expect(errors.count { $0.code == .unknownKey } == 20 && errors.count == 40)
  }

  @Test func reportsAreBounded() {
    let text = goodText + "".padding(toLength: 40_000, withPad: "- [\n", startingAt: 0)
    #expect(parse(text).diagnostics.count <= 200)
    let keys = (0..<5000).map { "key\($0): 1\n" }.joined()
    let report = parse(goodText + keys)
    #expect(report.diagnostics.count == 100 && report.errorCount == 5000)
  }
}
