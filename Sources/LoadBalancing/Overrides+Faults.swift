// SPDX-License-Identifier: Apache-2.0

extension BackendOverride {
  /// Weights that a backend may have.
  public static let weights = 0...65_535
  /// Octets that a reason may have.
  public static let reasonLimit = 512
}

extension DesiredState {
  /// Why an override is invalid; nil if it is valid. The same rules apply to requests and to saved overrides. An
  /// override of an absent pool or backend is valid; it has no effect.
  public func fault(of override: BackendOverride) -> String? {
    for name in [override.pool, override.backend] where !isObjectName(name) {
      return
        "name \"\(name.prefix(64))\" is not made of a-z, 0-9, '-', '.', '_', beginning with a letter or digit"
    }
    if let weight = override.weight, !BackendOverride.weights.contains(weight) {
      return
        "weight \(weight) is not within \(BackendOverride.weights.lowerBound)…\(BackendOverride.weights.upperBound)"
    }
    if case .added(let address) = override.presence, !address.isUnicast || vips.contains(address) {
      return "address \(address) cannot be a backend: it is a VIP or not a unicast address"
    }
    return fault(of: override.provenance)
  }

  /// Why a backend cannot be added: another one of the pool has its address; nil if it can.
  /// - Parameter others: the other overrides in force.
  public func addressFault(of override: BackendOverride, beside others: [BackendOverride]) -> String? {
    guard case .added(let address) = override.presence, let pool = pool(named: override.pool) else {
      return nil
    }
    let backends = DesiredState(pools: [pool]).applying(others).pools[0].backends
    return backends.first { $0.address == address && $0.name != override.backend }
      .map { "address \(address) is that of backend \(override.pool)/\($0.name) already" }
  }

  private func fault(of provenance: Provenance) -> String? {
    if let reason = provenance.reason {
      if reason.utf8.count > BackendOverride.reasonLimit {
        return "reason has more than \(BackendOverride.reasonLimit) bytes"
      }
      if let fault = plainTextFault(reason) { return "reason \(fault)" }
    }
    if let fault = plainTextFault(provenance.by) { return "by \(fault)" }
    // Times of day from 1970 to the year 9999.
    return (0..<253_402_300_800).contains(provenance.at) ? nil : "at \(provenance.at) is no time"
  }
}
