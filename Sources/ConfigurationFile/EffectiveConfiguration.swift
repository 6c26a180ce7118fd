// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// The configuration in force as a file would say it, every default spelled out, the seed masked.
///
/// With the seed put back, it reads as a configuration equal to this one.
public func describe(_ configuration: Configuration) -> String {
  let desired = configuration.desired
  var lines = describe(configuration.node)
  lines.append(describe(desired.packets))
  lines += section("pools", desired.pools.flatMap { describe($0) })
  lines += section("services", servicesByName(desired).flatMap { describe(service: $0.name, $0.virtual) })
  return lines.joined(separator: "\n") + "\n"
}

/// Every service of a configuration, in its order, with every of its VIPs and ports.
func servicesByName(_ desired: DesiredState) -> [(name: String, virtual: [VirtualService])] {
  var names: [String] = []
  var groups: [String: [VirtualService]] = [:]
  for service in desired.services {
    if groups[service.name] == nil { names.append(service.name) }
    groups[service.name, default: []].append(service)
  }
  return names.map { ($0, groups[$0] ?? []) }
}

/// All settings of the node.
func describe(_ node: NodeSettings) -> [String] {
  var lines = ["version: 1"]
  if let name = node.name { lines.append("node: { name: \(quoted(name)) }") }
  lines += [
    "interfaces:",
    "  - { name: \(quoted(node.interface.name)), mode: \(node.interface.mode.rawValue), "
      + "next_hop: \(text(node.interface.nextHop)) }",
    "hash_seed: \(quoted(seedMask))",
    "limits: { services: \(node.limits.services), pools: \(node.limits.pools), "
      + "backends: \(node.limits.backends), slots: \(node.limits.slots), flows: \(node.limits.flows), "
      + "pairs: \(node.limits.pairs) }",
    "control: { socket: \(quoted(node.controlSocket))\(optional("group", node.controlGroup)) }",
    "status: { socket: \(quoted(node.statusSocket))\(optional("group", node.statusGroup))"
      + "\(optional("listen", node.statusListen)) }",
    "paths: { pins: \(quoted(node.pinDirectory)), state: \(quoted(node.stateDirectory)) }",
  ]
  return lines
}

func describe(_ packets: PacketPolicy) -> String {
  "packets: { unserved: \(packets.unserved.rawValue), vip_sources: \(packets.vipSources.rawValue) }"
}

private func section(_ key: String, _ lines: [String]) -> [String] {
  lines.isEmpty ? [] : ["\(key):"] + lines
}

/// - Parameter isWhole: also keys that do nothing here.
func describe(_ pool: Pool, isWhole: Bool = false) -> [String] {
  let encapsulation = pool.encapsulation
  var lines = [
    "  \(quoted(pool.name)):",
    "    hash: \(pool.hash.rawValue)",
    "    table_size: \(pool.tableSize)",
    "    settle: \(durationText(pool.settle))",
    "    drain: { timeout: \(durationText(pool.drain.timeout)), quiet: \(durationText(pool.drain.quiet)) }",
    "    require: \(pool.require)",
    "    encapsulation: { type: \(encapsulation.kind.rawValue), "
      + "source4: \(text(encapsulation.source4)), source6: \(text(encapsulation.source6)) }",
  ]
  lines += describe(pool.health, isWhole: isWhole)
  lines.append(pool.backends.isEmpty ? "    backends: []" : "    backends:")
  lines += pool.backends.map { "      - \(describe($0))" }
  return lines
}

/// A backend as a mapping in one line.
func describe(_ backend: Backend) -> String {
  "{ name: \(quoted(backend.name)), address: \(text(backend.address)), weight: \(backend.weight), "
    + "state: \(backend.state.rawValue) }"
}

/// - Parameter virtual: every VIP of the service with every of its ports, as a file defines them.
func describe(service name: String, _ virtual: [VirtualService]) -> [String] {
  guard let first = virtual.first else { return [] }
  var vips: [IPAddress] = []
  for service in virtual where !vips.contains(service.key.address) { vips.append(service.key.address) }
  let ports = virtual.filter { $0.key.address == first.key.address }.map(\.key)
  let affinity = first.affinity
  return [
    "  - name: \(quoted(name))",
    "    vips: [\(vips.map(text).joined(separator: ", "))]",
    "    ports: [\(portRanges(ports).joined(separator: ", "))]",
    "    pool: \(quoted(first.pool))",
    "    affinity: { mode: \(affinity.mode.rawValue), learn: \(durationText(affinity.learn)), "
      + "tcp_idle: \(durationText(affinity.tcpIdle)), udp_idle: \(durationText(affinity.udpIdle)), "
      + "on_gone: \(affinity.onGone.rawValue) }",
  ]
}

/// Ports in the order given, with runs of successive ones as ranges.
private func portRanges(_ keys: [VirtualService.Key]) -> [String] {
  var runs: [(transport: TransportProtocol, first: UInt16, last: UInt16)] = []
  for key in keys {
    if let run = runs.last, run.transport == key.transport, run.last > 0, run.last < key.port,
      key.port - run.last == 1, key.port - run.first < 256
    {
      runs[runs.count - 1].last = key.port
    } else {
      runs.append((key.transport, key.port, key.port))
    }
  }
  return runs.map { run in
    let ports = run.first == 0 ? "any" : run.first == run.last ? "\(run.first)" : "\(run.first)-\(run.last)"
    return "\(ports)/\(run.transport.name)"
  }
}

private func text(_ nextHop: NextHop) -> String {
  switch nextHop {
  case .kernel: return "auto"
  case .gateway(let address): return text(address)
  case .fixed(let mac):
    let octets = mac.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
    return quoted(octets.joined(separator: ":"))
  }
}

func text(_ address: IPAddress) -> String {
  address.family == .v4 ? "\(address)" : quoted("\(address)")
}

private func text(_ prefix: IPPrefix?) -> String {
  guard let prefix else { return "auto" }
  return prefix.address.family == .v4 ? "\(prefix)" : quoted("\(prefix)")
}

private func optional(_ key: String, _ value: String?) -> String {
  value.map { ", \(key): \(quoted($0))" } ?? ""
}

/// A text as it is where no reader of YAML could take it for something else, in double quotes otherwise.
func quoted(_ text: String) -> String {
  let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
  let isPlain =
    text.utf8.first.map { (0x61...0x7A).contains($0) || $0 == 0x2F } == true
    && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x2D...0x39).contains($0) || $0 == 0x5F }
  guard !isPlain || words.contains(text) else { return text }
  // By scalars: a quote with a combining mark is one character, and ends the text all the same.
  let escaped = text.unicodeScalars.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
  return "\"\(escaped)\""
}
