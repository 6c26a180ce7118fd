// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import LoadBalancing

/// The request of a probe.
struct HTTPRequest {
  /// Its octets: ASCII, but for what the configuration holds beyond that.
  let text: String

  /// - Throws: where the question holds an octet that would end a line or a word of the request.
  init(_ question: HTTPQuestion, of probe: Probe) throws(ProbeOutcome.Failure) {
    let host = Self.host(question, of: probe)
    for word in [question.method, question.path, host]
    where !word.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) {
      throw ProbeOutcome.Failure(.local, "a request cannot hold \(HTTPExcerpt.of(word.utf8))")
    }
    var text = """
      \(question.method) \(question.path) HTTP/1.1\r
      Host: \(host)\r
      User-Agent: sluice-check/\(Version.current)\r
      Accept: */*\r
      Connection: close\r

      """
    if probe.isFullSize, let tunnel = probe.tunnel {
      let segment = tunnel.mtu - (probe.destination.family == .v4 ? 20 : 40) - 20
      text += Self.padding(octets: segment - text.utf8.count - 2)
    }
    self.text = text + "\r\n"
  }

  private static func host(_ question: HTTPQuestion, of probe: Probe) -> String {
    let address = probe.destination.family == .v6 ? "[\(probe.destination)]" : "\(probe.destination)"
    let host = question.host ?? address
    if question.hostHasPort { return host }
    return probe.port == (question.tls == nil ? 80 : 443) ? host : "\(host):\(probe.port)"
  }

  /// Header lines of so many octets together, or a few more. Servers take no line of more than 8 KiB or so, which jumbo
  /// frames exceed.
  private static func padding(octets: Int) -> String {
    let name = "X-Sluice-Padding: "
    var lines = ""
    while lines.utf8.count < octets {
      let rest = octets - lines.utf8.count - name.utf8.count - 2
      lines += name + String(repeating: "x", count: min(max(rest, 1), 4000)) + "\r\n"
    }
    return lines
  }
}

extension HTTPQuestion {
  /// The host without its port, and an IPv6 address without its brackets.
  var hostName: String? {
    guard let host else { return nil }
    if host.hasPrefix("[") { return String(host.dropFirst().prefix { $0 != "]" }) }
    return String(host.prefix { $0 != ":" })
  }

  var hostHasPort: Bool {
    guard let host else { return false }
    return host.drop { $0 != "]" }.contains(":") || !host.hasPrefix("[") && host.contains(":")
  }
}
