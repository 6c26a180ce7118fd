// SPDX-License-Identifier: Apache-2.0

extension HealthBoard {
  /// The start of the next probe of a target, not before now.
  /// - Parameters:
  ///   - begun: the start of the latest probe, which has ended; `nil`: there was none. The first one starts within an
  ///     interval, at an offset computed from the target's names, so that probes are spread evenly.
  ///   - random: 0..<1, the part of the jitter that is subtracted from the interval.
  /// - Returns: `now` for a target that is not checked.
  public func nextProbe(of target: Target, begun: Duration?, at now: Duration, random: Double) -> Duration {
    guard let index = targets[target] else { return now }
    let entry = entries[index]
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
  /// 0..<1, equal in every process: 64-bit FNV-1a of names and address, followed by MurmurHash3's finalizer, because
  /// FNV-1a mixes its last octets poorly into the upper bits.
  var phase: Double {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ octet: UInt8) { hash = (hash ^ UInt64(octet)) &* 0x100_0000_01b3 }
    backend.pool.utf8.forEach(add)
    add(0)
    backend.backend.utf8.forEach(add)
    add(0)
    vip?.octets.forEach(add)
    hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
    hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
    return Double((hash ^ (hash >> 33)) >> 11) / Double(UInt64(1) << 53)
  }
}
