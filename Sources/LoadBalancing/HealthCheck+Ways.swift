// SPDX-License-Identifier: Apache-2.0

/// How the probes of a check get to each backend of a pool.
struct ProbeWay: Sendable {
  /// nil: directly.
  var vip: IPAddress?
  /// Host order; 0 for ICMP.
  var port: UInt16

  func job(of backend: BackendKey, at address: IPAddress, _ check: HealthCheck) -> HealthBoard.Job {
    HealthBoard.Job(
      target: HealthBoard.Target(backend: backend, vip: vip), check: check, destination: vip ?? address,
      port: port,
      address: address)
  }
}

extension HealthCheck {
  /// The ways to each backend of a pool. Where no port is given and no service has one, there is none.
  /// - Parameter services: those that use the pool.
  func ways(by services: [VirtualService]) -> [ProbeWay] {
    switch way {
    case .direct: return port(of: services).map { [ProbeWay(vip: nil, port: $0)] } ?? []
    case .tunnel:
      let vips = Set(self.vips ?? services.map(\.key.address)).sorted()
      return vips.compactMap { vip in
        port(of: services.filter { $0.key.address == vip }).map { ProbeWay(vip: vip, port: $0) }
      }
    }
  }

  /// The port that is given, or else that of the first service of the probe's transport.
  private func port(of services: [VirtualService]) -> UInt16? {
    guard let transport = kind.transport else { return 0 }
    if let port { return port }
    return services.first { $0.key.transport == transport }.map(\.key.port).flatMap { $0 == 0 ? nil : $0 }
  }
}
