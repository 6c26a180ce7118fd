// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

extension Draft {
  /// The configuration, with every default filled in.
  ///
  /// - Parameter former: pools of the configuration before, by name. Those that stay the same share their storage.
  /// - Returns: nil where something that is needed is missing, which was reported.
  func assemble(like former: [String: Pool]) -> Configuration? {
    guard let interface = node.interface, let seed = node.hashSeed else { return nil }
    var settings = NodeSettings(name: node.name, interface: interface, limits: limits.values, hashSeed: seed)
    if let path = node.pinDirectory { settings.pinDirectory = path }
    if let path = node.stateDirectory { settings.stateDirectory = path }
    if let socket = node.controlSocket { settings.controlSocket = socket.value }
    if let socket = node.statusSocket { settings.statusSocket = socket.value }
    settings.controlGroup = node.controlGroup
    settings.statusGroup = node.statusGroup
    settings.statusListen = node.statusListen
    let settles = Dictionary(pools.map { ($0.name.value, settle(of: $0)) }) { first, _ in first }
    let desired = DesiredState(
      services: services.flatMap { virtualServices($0, settles: settles) },
      pools: pools.map { draft in draft.known?.value.pool ?? pool(draft, like: former[draft.name.value]) },
      packets: packets)
    return Configuration(node: settings, desired: desired)
  }

  private func pool(_ draft: PoolDraft, like former: Pool?) -> Pool {
    let backends = draft.backends.compactMap { draft -> Backend? in
      guard let name = draft.name, let address = draft.address else { return nil }
      var backend = Backend(name: name.value, address: address.value)
      if let weight = draft.weight { backend.weight = weight }
      if let state = draft.state { backend.state = state }
      return backend
    }
    let pool = Pool(
      name: draft.name.value, backends: backends, hash: draft.hash ?? defaults.hash ?? .flow,
      tableSize: tableSize(of: draft),
      encapsulation: draft.encapsulation.completed(from: defaults.encapsulation),
      settle: settle(of: draft),
      drain: drain(of: draft), require: (draft.require ?? defaults.require)?.value ?? .backends(0),
      health: health(of: draft))
    return former == pool ? former ?? pool : pool
  }

  /// - Parameter settles: ``Pool/settle`` of each pool.
  private func virtualServices(_ draft: ServiceDraft, settles: [String: Int]) -> [VirtualService] {
    guard let name = draft.name?.value, let pool = draft.pool?.value else { return [] }
    var affinity = Affinity()
    if let mode = draft.affinity.mode ?? defaults.affinity.mode { affinity.mode = mode }
    let settle = settles[pool] ?? Pool.defaultSettle
    affinity.learn = (draft.affinity.learn ?? defaults.affinity.learn)?.value ?? settle
    if let idle = draft.affinity.tcpIdle ?? defaults.affinity.tcpIdle { affinity.tcpIdle = idle }
    affinity.udpIdle =
      (draft.affinity.udpIdle ?? defaults.affinity.udpIdle)?.value ?? min(affinity.udpIdle, settle)
    if let onGone = draft.affinity.onGone ?? defaults.affinity.onGone { affinity.onGone = onGone }
    return draft.vips.flatMap { vip in
      draft.ports.flatMap { range in
        range.value.ports.map { port in
          let key = VirtualService.Key(address: vip.value, transport: range.value.transport, port: port)
          return VirtualService(key: key, name: name, pool: pool, affinity: affinity)
        }
      }
    }
  }
}
