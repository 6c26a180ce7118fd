// SPDX-License-Identifier: Apache-2.0

/// Where the probes of a check go, for each backend of a pool.
struct ProbeDestination: Sendable {
  /// `nil`: to the backend's own address.
  var vip: IPAddress?
  /// Host order; 0 for ICMP.
  var port: UInt16

  func job(of backend: BackendKey, at address: IPAddress, _ check: HealthCheck) -> HealthBoard.Job {
    HealthBoard.Job(
      target: HealthBoard.Target(backend: backend, vip: vip), check: check, destination: vip ?? address,
      port: port, address: address)
  }
}

extension HealthCheck {
  /// Where each backend of a pool is probed. Nowhere if the check has no port and no service has one.
  /// - Parameter services: the services that use the pool.
  func destinations(for services: [VirtualService]) -> [ProbeDestination] {
    switch via {
    case .direct: return port(of: services).map { [ProbeDestination(vip: nil, port: $0)] } ?? []
    case .tunnel:
      let vips = Set(self.vips ?? services.map(\.key.address)).sorted()
      return vips.compactMap { vip in
        port(of: services.filter { $0.key.address == vip }).map {
          ProbeDestination(vip: vip, port: $0)
        }
      }
    }
  }

  /// The check's port, or else that of the first service with the probe's transport and a port of its own: a service of
  /// all ports names none.
  private func port(of services: [VirtualService]) -> UInt16? {
    guard let transport = kind.transport else { return 0 }
    if let port { return port }
    return services.first { $0.key.transport == transport && $0.key.port != 0 }?.key.port
  }
}
