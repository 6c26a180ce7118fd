// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import Probing

/// How probes reach backends, and faults of the uplink.
extension Uplink {
  func probePath(to backend: InstalledState.Backend) -> HealthChecks.ProbePath {
    let path = path(to: backend)
    let isBackendSilent = path?.via == backend.address && !(path?.isResolved ?? false)
    let isOffLink = !backend.encapsulation.isTunnel && path?.via.map { $0 != backend.address } ?? false
    let overhead = backend.encapsulation.overhead(for: backend.address.family)
    var result = HealthChecks.ProbePath(
      number: backend.number, innerMTU: (path?.state.mtu ?? 1500) - overhead,
      isEncapsulated: backend.encapsulation.isTunnel)
    if path?.state.mac == nil {
      // If a backend on the link does not answer, it is dead, and one that must be there and is not gets no packets. If a
      // gateway does not answer, the fault is on this side.
      result.trouble = ProbeOutcome.Failure(
        isBackendSilent || isOffLink ? .route : .local, path?.trouble ?? "no next hop is known")
    }
    for family in AddressFamily.allCases {
      let isOwnFamily = backend.address.family == family
      result.sources[family] =
        (isOwnFamily ? path?.state.sourceAddress : nil) ?? probeRoutes.sources[family]
      result.standIns[family] = path.flatMap {
        probeRoutes.standIn(for: family, via: $0.via, backend: backend.address)
      }
    }
    result.isBackendSilent = isBackendSilent
    return result
  }

  var alarms: [Alarm] {
    let configured = settings.name
    var found: [Alarm] = []
    if let detachedBy = attachment.detachedBy {
      found.append(
        Alarm(
          .detached, configured, "nothing is forwarded: detached by \(detachedBy)", cure: "sluice attach"))
    }
    guard let link else {
      found.append(
        Alarm(
          .interfaceMissing, configured, "interface \(configured) does not exist",
          cure: attachment.detachedBy == nil
            ? "create it: forwarding resumes by itself" : "create it"))
      return found
    }
    if link.hardwareAddress == nil {
      found.append(
        Alarm(
          .notEthernet, link.name, "nothing is forwarded: \(link.name) is no Ethernet interface",
          cure: "set interfaces[0].name to the interface that clients' packets arrive on: see `ip -d link`"))
    }
    if let trouble = attachment.trouble {
      found.append(
        Alarm(
          .notAttached, link.name, "nothing is forwarded: \(trouble)",
          cure: "tried again at every change of the interface, and every 10 s"))
    }
    if !link.isRunning {
      found.append(
        Alarm(
          .interfaceDown, link.name, "interface \(link.name) has no carrier or is down",
          cure: "ip link set \(link.name) up"))
    }
    if link.name != configured {
      found.append(
        Alarm(
          .interfaceRenamed, configured,
          "\(configured) is called \(link.name) now; forwarding goes on there",
          cure:
            "before the next start of the daemon, rename it back or set interfaces[0].name to \(link.name)"
        ))
    }
    return found
  }
}
