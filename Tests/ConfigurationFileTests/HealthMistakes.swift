// SPDX-License-Identifier: Apache-2.0

/// A check in the pool of web servers.
private func check(_ text: String, _ codes: String...) -> Mistake {
  Mistake("hash: flow\n", "hash: flow\n    check: \(text)\n", codes)
}

/// A check in the pool of DNS servers, whose service takes any port of TCP.
private func dnsCheck(_ text: String, _ codes: String...) -> Mistake {
  Mistake("hash: source\n", "hash: source\n    check: \(text)\n", codes)
}

private func pool(_ text: String, _ codes: String...) -> Mistake {
  Mistake("hash: flow\n", "hash: flow\n    \(text)\n", codes)
}

private func defaults(_ text: String, _ codes: String...) -> Mistake {
  Mistake("  affinity: { learn: 2h }\n", "  affinity: { learn: 2h }\n  \(text)\n", codes)
}

let healthMistakes: [Mistake] = [
  // Keys.
  check("{ type: tcp, ¦intervall: 1s }", "unknown-key"),
  check("¦{ port: 80 }", "missing-key"),
  check("{ ¦typ: tcp }", "unknown-key"),
  check("¦tcp", "wrong-type"),
  check("{ type: ¦htp, query: x }", "invalid-value"),
  check("{ type: tcp, ¦query: x }", "key-of-other-type"),
  check("{ type: http, ¦tls_ca: /etc/ca.pem, ¦send: x }", "key-of-other-type", "key-of-other-type"),
  check("{ type: tcp, ¦full_size: true }", "key-of-other-type"),
  check("{ type: icmp, ¦port: 7 }", "key-of-other-type"),
  check("{ type: none, ¦path: / }", "key-of-other-type"),
  check("¦{ type: dns, port: 53 }", "missing-key"),
  check("¦{ type: udp }", "missing-key"),
  check("{ type: udp, send: a, ¦send_hex: '00' }", "conflicting-keys"),
  check("{ type: tcp, damping: { ¦holt: 1s } }", "unknown-key"),
  pool("guard: { ¦shares: 50% }\n    check: { type: tcp }", "unknown-key"),
  defaults("check: { ¦path: /x }", "key-of-other-type"),
  // Times and numbers.
  check("{ type: tcp, interval: ¦99ms }", "out-of-range"),
  check("{ type: tcp, interval: ¦61m }", "out-of-range"),
  check("{ type: tcp, interval: ¦2 }", "invalid-duration"),
  check("{ type: tcp, timeout: ¦9ms }", "out-of-range"),
  check("{ type: tcp, timeout: ¦61s }", "out-of-range"),
  check("{ type: tcp, rise: ¦0, fall: ¦101 }", "out-of-range", "out-of-range"),
  check("{ type: tcp, jitter: ¦91% }", "invalid-value"),
  check("{ type: tcp, jitter: ¦20 }", "invalid-value"),
  check("{ type: tcp, fast_interval: ¦2001ms }", "longer-than-interval"),
  check("{ type: tcp, interval: 1s, fast_interval: ¦1500ms }", "longer-than-interval"),
  check("{ type: tcp, damping: { hold: ¦6m } }", "longer-than-limit"),
  check("{ type: tcp, damping: { limit: ¦9s } }", "longer-than-limit"),
  check("{ type: tcp, damping: { memory: ¦0s } }", "out-of-range"),
  check("{ type: tcp, port: ¦0 }", "out-of-range"),
  check("{ type: tcp, via: ¦tunel }", "invalid-value"),
  check("{ type: tcp, on_start: ¦ready }", "invalid-value"),
  pool("hysteresis: ¦65537\n    check: { type: tcp }", "out-of-range"),
  pool("on_insufficient: ¦withdrawn\n    check: { type: tcp }", "invalid-value"),
  pool("guard: { share: ¦0%, interval: ¦999ms }\n    check: { type: tcp }", "invalid-value", "out-of-range"),
  // HTTP.
  check("{ type: http, method: ¦POST }", "invalid-value"),
  check("{ type: http, method: HEAD, ¦body: ok }", "conflicting-keys"),
  check("{ type: http, path: ¦healthz }", "invalid-path"),
  check("{ type: http, path: ¦'/a HTTP/1.1' }", "invalid-path"),
  check(#"{ type: http, path: ¦"/a\r\nX-Evil: 1" }"#, "control-character"),
  check("{ type: http, path: ¦'/a#b' }", "invalid-path"),
  check("{ type: http, path: ¦/é }", "invalid-path"),
  check("{ type: http, host: ¦'a b' }", "invalid-host"),
  check("{ type: http, host: ¦10.0.0.300 }", "invalid-host"),
  check("{ type: http, host: ¦'example.com:0' }", "invalid-host"),
  check("{ type: http, host: ¦'2001:db8::1' }", "invalid-host"),
  check("{ type: http, host: ¦-a.example }", "invalid-host"),
  check("{ type: http, expect: ¦600 }", "invalid-value"),
  check("{ type: http, expect: ¦299-200 }", "invalid-value"),
  check("{ type: http, expect: [200, ¦2xx] }", "invalid-value"),
  check("{ type: http, expect: ¦[] }", "empty-list"),
  check("{ type: http, body: ¦'' }", "out-of-range"),
  check("{ type: http, body: ¦\(String(repeating: "b", count: 4097)) }", "out-of-range"),
  check("{ type: https, tls_verify: ¦yes }", "invalid-value"),
  check("{ type: https, tls_ca: ¦ca.pem }", "invalid-path"),
  check("{ type: https, tls_ca: ¦/nowhere/ca.pem }", "unreadable-authorities"),
  // DNS.
  check("{ type: dns, port: 53, query: ¦a..b }", "invalid-host"),
  check("{ type: dns, port: 53, query: a, qtype: ¦a }", "invalid-value"),
  check("{ type: dns, port: 53, query: a, transport: ¦tls }", "invalid-value"),
  check("{ type: dns, port: 53, query: a, expect: ¦200 }", "invalid-value"),
  check("{ type: dns, port: 53, query: a, answer: ¦1.2.3 }", "invalid-address"),
  check("{ type: dns, port: 53, query: a, answer: ¦'::1' }", "wrong-family"),
  check("{ type: dns, port: 53, query: a, qtype: MX, answer: ¦10.0.0.1 }", "wrong-family"),
  check("{ type: dns, port: 53, query: a, expect: NXDOMAIN, answer: ¦10.0.0.1 }", "conflicting-keys"),
  // Datagrams.
  check("{ type: udp, send: ¦'' }", "out-of-range"),
  check("{ type: udp, send_hex: ¦abc }", "invalid-hex"),
  check("{ type: udp, send_hex: ¦0x12 }", "invalid-hex"),
  check("{ type: udp, send_hex: ¦\(String(repeating: "00", count: 1201)) }", "invalid-hex"),
  check("{ type: udp, send: a, reply_hex: ¦'' }", "invalid-hex"),
  // What must fit to services.
  check("{ type: tcp, vips: ¦[] }", "empty-list"),
  check("{ type: tcp, vips: [¦192.0.2.11] }", "unknown-vip"),
  check("{ type: tcp, vips: [192.0.2.10, ¦192.0.2.10] }", "duplicate-address"),
  check("{ type: tcp, vips: [¦224.0.0.1] }", "not-unicast"),
  check("{ type: tcp, via: direct, vips: ¦[192.0.2.10] }", "conflicting-keys"),
  dnsCheck("¦{ type: tcp }", "missing-port"),
  dnsCheck("¦{ type: tcp, via: direct }", "missing-port"),
  Mistake(
    "  dns:\n    hash",
    "  ¦spare:\n    check: ¦{ type: tcp }\n    backends: [{ name: s, address: 10.0.0.99 }]\n  dns:\n    hash",
    ["unused-pool", "nobody-to-check"]),
  pool("hysteresis: ¦1", "nothing-checked"),
  pool("on_insufficient: ¦all\n    check: { type: none }", "nothing-checked"),
  pool("¦guard: { share: 10% }", "nothing-checked"),
]
