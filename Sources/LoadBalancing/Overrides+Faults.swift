// SPDX-License-Identifier: Apache-2.0

extension BackendOverride {
  /// Weights that a backend may have.
  public static let weights = 0...65_535
  /// Octets that a reason may have.
  public static let reasonLimit = 512
}

extension DesiredState {
  /// Why there can be no such override; nil where there can. Requests and what a state file holds are judged by this
  /// alike. An override of a pool or backend that is not there is none of its faults: it has no effect.
  public func fault(of override: BackendOverride) -> String? {
    for name in [override.pool, override.backend] where !isObjectName(name) {
      return
        "name \"\(name.prefix(64))\" is not made of a-z, 0-9, '-', '.', '_', beginning with a letter or digit"
    }
    if let weight = override.weight, !BackendOverride.weights.contains(weight) {
      return "weight \(weight) is not within 0…65535"
    }
    if case .added(let address) = override.presence, !address.isUnicast || vips.contains(address) {
      return "address \(address) cannot be a backend: it is a VIP or not a unicast address"
    }
    return fault(of: override.provenance)
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
