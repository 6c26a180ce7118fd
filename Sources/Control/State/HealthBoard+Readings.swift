// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

extension HealthBoard {
  /// The health of every backend that is checked, and why its worst target that failed last did so.
  var healths: [BackendKey: (state: HealthState, reason: String?)] {
    let targets = Dictionary(grouping: jobs.keys, by: \.backend)
    return Dictionary(
      uniqueKeysWithValues: targets.map { backend, targets in
        let reasons = worstFirst(targets).lazy.compactMap {
          self.record(of: $0)?.latest?.outcome.failure?.reason
        }
        return (backend, (state(of: backend), reasons.first))
      })
  }

  /// VIPs that backends of the other family are probed at.
  var vipsOfOtherFamilies: [IPAddress] {
    let jobs = jobs.values.filter {
      $0.check.via == .tunnel && $0.destination.family != $0.address.family
    }
    return Set(jobs.map(\.destination)).sorted()
  }
}
