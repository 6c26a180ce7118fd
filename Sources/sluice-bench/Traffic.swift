// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// What arrives at the programs under test, and what a forwarder must make of it.
struct Traffic {
  var name: String
  var flows: Int
  var shape = Frame.Shape.plain
  /// How many of the installed services the flows are spread over.
  var services = 1

  static let byFlows = [
    Traffic(name: "1 flow", flows: 1), Traffic(name: "10 k flows", flows: 10_000),
    Traffic(name: "100 k flows", flows: 100_000), Traffic(name: "1 M flows", flows: 1_000_000),
  ]
  static let flood = Traffic(name: "SYN flood", flows: 1 << 24, shape: .first)
  static let manyServices = Traffic(
    name: "100 services", flows: 1_000_000, services: Installation.services)
  /// Packets that need more than the common path.
  static let slow = [
    Traffic(name: "VLAN tag", flows: 10_000, shape: .tagged),
    Traffic(name: "IP options", flows: 10_000, shape: .options),
    Traffic(name: "ping", flows: 10_000, shape: .echo),
    Traffic(name: "ICMP error", flows: 10_000, shape: .icmpError),
  ]

  var isFlood: Bool { shape == .first }

  /// The name of the verdict, as in metrics.
  func verdict(isIPv6: Bool) -> String {
    switch shape {
    case .plain, .first, .tagged, .icmpError: "forwarded"
    case .options: isIPv6 ? "forwarded" : "dropped_ip_options"
    case .echo: "answered_echo"
    }
  }

  /// `XDP_DROP` or `XDP_TX`.
  func action(isIPv6: Bool) -> UInt32 { shape == .options && !isIPv6 ? 1 : 3 }

  /// The largest part of the stripped forwarder's nanoseconds over the bounce that the forwarder may cost.
  func required(isIPv6: Bool) -> Double { services > 1 ? 1.1 : isIPv6 ? 0.85 : 0.8 }

  /// The cache lines of forwarding tables that the flows reach: at most those of one table, of eight slots each.
  var tableLines: Int { min(flows, Pool.defaultTableSize / 8) * services }
}
