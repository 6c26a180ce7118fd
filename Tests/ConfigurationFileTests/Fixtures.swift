// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import LoadBalancing
import Testing

/// A small configuration without a mistake, nor a warning.
let goodText = """
  version: 1
  node: { name: lb1 }
  interfaces:
    - { name: eth0, mode: auto, next_hop: auto }
  hash_seed: "a secret of the tests"
  defaults:
    encapsulation: { type: ipip, source4: 10.255.0.0/16 }
    affinity: { learn: 2h }
  limits: { services: 64, pools: 8, backends: 16, slots: 200000, flows: 4096, pairs: 512 }
  control: { socket: /run/sluice/control.sock, group: sluice-admin }
  status: { socket: /run/sluice/status.sock, listen: "127.0.0.1:9870" }
  paths: { pins: /sys/fs/bpf/sluice, state: /var/lib/sluice }
  pools:
    web:
      hash: flow
      table_size: 65537
      settle: 3h
      drain: { timeout: 20m, quiet: 90s }
      require: 50%
      encapsulation: { source6: "fd00:255::/64" }
      backends:
        - { name: web1, address: 10.0.0.11, weight: 100, state: ready }
        - { name: web2, address: "2001:db8:1::12", weight: 50, state: drain }
    dns:
      hash: source
      table_size: 1009
      backends:
        - { name: ns1, address: 10.0.0.53 }
  services:
    - name: web
      vips: [192.0.2.10, "2001:db8::10"]
      ports: [80/tcp, 443/tcp, 443/udp]
      pool: web
      affinity: { mode: all, tcp_idle: 1h, udp_idle: 30s, on_gone: reset }
    - name: dns
      vips: [192.0.2.53]
      ports: [53/udp, 5300-5303/udp, any/tcp]
      pool: dns

  """

/// The file that the text of ``goodText`` stands for in tests.
let mainPath = "sluice.yaml"

func parse(
  _ text: String, dropIns: [(String, String)] = [], build: BuildCapabilities = BuildCapabilities(hasTLS: true)
) -> ConfigurationReport {
  let files = [SourceFile(path: mainPath, text: text)] + dropIns.map { SourceFile(path: $0, text: $1) }
  return ConfigurationLoader.parse(files: files, build: build) { path in
    throw FixtureError(description: "no file \(path) in this test")
  }
}

struct FixtureError: Error, CustomStringConvertible {
  let description: String
}

extension String {
  func replacingFirst(_ part: String, with other: String) -> String {
    guard let range = range(of: part) else {
      Issue.record("\"\(part)\" is not in the text")
      return self
    }
    return replacingCharacters(in: range, with: other)
  }

  /// Takes the marks `¦` out; their positions as `LINE:COLUMN`.
  func takingMarks() -> (text: String, places: [String]) {
    var (text, places, line, column) = ("", [String](), 1, 1)
    for scalar in unicodeScalars {
      switch scalar {
      case "¦":
        places.append("\(line):\(column)")
        continue
      case "\n": (line, column) = (line + 1, 1)
      default: column += 1
      }
      text.unicodeScalars.append(scalar)
    }
    return (text, places)
  }
}

extension Diagnostic {
  /// `LINE:COLUMN CODE`
  var brief: String { "\(line):\(column) \(code.rawValue)" }
}

/// The repository, whose example configurations are tests, too.
let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()
