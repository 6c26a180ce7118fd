// SPDX-License-Identifier: Apache-2.0

extension HealthBoard {
  /// When the next probe of a target begins: never before now.
  /// - Parameters:
  ///   - begun: when the latest began; nil: there was none. Then it begins within the interval from now on, at a point
  ///     that follows from the target's names, so that the probes of many are spread evenly.
  ///   - random: 0..<1; shortens the interval by as much of its jitter.
  /// - Returns: now for a target that is not checked.
  public func nextProbe(of target: Target, begun: Duration?, at now: Duration, random: Double) -> Duration {
    guard let place = targets[target] else { return now }
    let entry = entries[place]
    guard let begun else { return now + entry.job.check.interval * entry.phase }
    return max(begun + entry.interval(at: now) * (1 - entry.job.check.jitter * random), now)
  }
}

extension HealthBoard.Entry {
  fileprivate func interval(at now: Duration) -> Duration {
    let check = job.check
    return tracker.isChangePending(at: now) ? check.fastInterval ?? check.interval : check.interval
  }
}

extension HealthBoard.Target {
  /// 0..<1, the same in every process: FNV-1a (64 bits) of the names and the address, its bits mixed as MurmurHash3
  /// does at its end, since FNV-1a spreads its last octets badly over the upper ones.
  var phase: Double {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func take(_ octet: UInt8) { hash = (hash ^ UInt64(octet)) &* 0x100_0000_01b3 }
    backend.pool.utf8.forEach(take)
    take(0)
    backend.backend.utf8.forEach(take)
    take(0)
    vip?.octets.forEach(take)
    hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
    hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
    return Double((hash ^ (hash >> 33)) >> 11) / Double(UInt64(1) << 53)
  }
}
