// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

extension BackendOverride {
  /// What it changes: `added`, `removed`, `state=drain`, `weight=50`.
  var changes: [String] {
    var changes: [String] = []
    switch presence {
    case .asConfigured: break
    case .added(let address): changes.append("added \(address)")
    case .removed: changes.append("removed")
    }
    if let state { changes.append("state=\(state.rawValue)") }
    if let weight { changes.append("weight=\(weight)") }
    return changes
  }
}
