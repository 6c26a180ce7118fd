// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// The configuration in force as an equivalent file, with every default written and the seed masked.
///
/// With the seed put back, it reads as a configuration equal to this one.
public func describe(_ configuration: Configuration) -> String {
  let desired = configuration.desired
  var settings = nodeSettings(configuration.node)
  settings["packets"] = .section(packetSettings(desired.packets))
  if !desired.pools.isEmpty {
    settings["pools"] = .named(desired.pools.map { ($0.name, poolSettings($0)) })
  }
  let services = servicesByName(desired)
  if !services.isEmpty {
    settings["services"] = .list(services.map { .section(serviceSettings($0.name, $0.virtual)) })
  }
  return settings.lines().joined(separator: "\n") + "\n"
}

/// Every service of a configuration, in its order, with each of its VIPs and ports.
func servicesByName(_ desired: DesiredState) -> [(name: String, virtual: [VirtualService])] {
  var names: [String] = []
  var groups: [String: [VirtualService]] = [:]
  for service in desired.services {
    if groups[service.name] == nil { names.append(service.name) }
    groups[service.name, default: []].append(service)
  }
  return names.map { ($0, groups[$0] ?? []) }
}

/// The settings of the balancer itself, at the top of the file.
func nodeSettings(_ node: NodeSettings) -> Settings {
  let limits = limitsByKey.map { key, value in (key, Setting.plain("\(node.limits[keyPath: value])")) }
  let interface = Settings(
    KeyTable.interface,
    [
      "name": .text(node.interface.name), "mode": .plain(node.interface.mode.rawValue),
      "next_hop": .plain(text(node.interface.nextHop)),
    ])
  return Settings(
    KeyTable.main,
    [
      "version": .plain("1"),
      "node": node.name.map { .section(Settings(KeyTable.node, ["name": .text($0)])) },
      "interfaces": .list([.section(interface)]), "hash_seed": .secret(node.hashSeed),
      "limits": .section(Settings(KeyTable.limits, Dictionary(uniqueKeysWithValues: limits))),
      "control": .section(
        Settings(
          KeyTable.control, ["socket": .text(node.controlSocket), "group": .optional(node.controlGroup)])),
      "status": .section(
        Settings(
          KeyTable.status,
          [
            "socket": .text(node.statusSocket), "group": .optional(node.statusGroup),
            "listen": .optional(node.statusListen),
          ])),
      "paths": .section(
        Settings(KeyTable.paths, ["pins": .text(node.pinDirectory), "state": .text(node.stateDirectory)])),
    ])
}

func packetSettings(_ packets: PacketPolicy) -> Settings {
  Settings(
    KeyTable.packets,
    ["unserved": .plain(packets.unserved.rawValue), "vip_sources": .plain(packets.vipSources.rawValue)])
}

/// - Parameter isWhole: also keys that have no effect here.
func poolSettings(_ pool: Pool, isWhole: Bool = false) -> Settings {
  var settings = Settings(
    KeyTable.pool,
    [
      "hash": .plain(pool.hash.rawValue), "table_size": .plain("\(pool.tableSize)"),
      "settle": .plain(durationText(pool.settle)),
      "drain": .section(
        subsettings(
          of: KeyTable.pool, "drain",
          [
            "timeout": .plain(durationText(pool.drain.timeout)),
            "quiet": .plain(durationText(pool.drain.quiet)),
          ])),
      "require": .plain("\(pool.require)"),
      "encapsulation": .section(encapsulationSettings(pool.encapsulation)),
      "backends": .list(pool.backends.map { .section(backendSettings($0)) }),
    ])
  addHealth(pool.health, isWhole: isWhole, to: &settings)
  return settings
}

private func encapsulationSettings(_ encapsulation: Encapsulation) -> Settings {
  let ports = encapsulation.ports
  return subsettings(
    of: KeyTable.pool, "encapsulation",
    [
      "type": .plain(encapsulation.kind.rawValue),
      "variant": encapsulation.variant.map { .plain("\($0.rawValue)") },
      "port": ports.map { .plain("\($0.v4)") },
      "port6": encapsulation.kind == .fou ? ports.map { .plain("\($0.v6)") } : nil,
      "source4": encapsulation.isTunnel ? .plain(text(encapsulation.source4)) : nil,
      "source6": encapsulation.isTunnel ? .plain(text(encapsulation.source6)) : nil,
    ])
}

/// Settings of a section whose keys a section's key holds.
func subsettings(of section: KeySection, _ key: String, _ values: [String: Setting?]) -> Settings {
  guard let inner = section.key(key)?.type.section else {
    preconditionFailure("\(key) of \(section.noun) has no keys")
  }
  return Settings(inner, values)
}

func backendSettings(_ backend: Backend) -> Settings {
  Settings(
    KeyTable.backend,
    [
      "name": .text(backend.name), "address": .plain("\(backend.address)"),
      "weight": .plain("\(backend.weight)"), "state": .plain(backend.state.rawValue),
    ])
}

/// - Parameter virtual: every VIP of the service with every of its ports, as a file defines them.
func serviceSettings(_ name: String, _ virtual: [VirtualService]) -> Settings {
  guard let first = virtual.first else { return Settings(KeyTable.service, [:]) }
  var vips: [IPAddress] = []
  var seen: Set<IPAddress> = []
  for service in virtual where seen.insert(service.key.address).inserted { vips.append(service.key.address) }
  let ports = virtual.filter { $0.key.address == first.key.address }.map(\.key)
  let affinity = first.affinity
  return Settings(
    KeyTable.service,
    [
      "name": .text(name), "vips": .list(vips.map { .plain("\($0)") }),
      "ports": .list(portRanges(ports).map(Setting.plain)), "pool": .text(first.pool),
      "affinity": .section(
        subsettings(
          of: KeyTable.service, "affinity",
          [
            "mode": .plain(affinity.mode.rawValue), "learn": .plain(durationText(affinity.learn)),
            "tcp_idle": .plain(durationText(affinity.tcpIdle)),
            "udp_idle": .plain(durationText(affinity.udpIdle)), "on_gone": .plain(affinity.onGone.rawValue),
          ])),
    ])
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
  case .kernel: "auto"
  case .gateway(let address): "\(address)"
  case .fixed(let mac): "\(mac)"
  }
}

private func text(_ prefix: IPPrefix?) -> String { prefix.map { "\($0)" } ?? "auto" }
