// SPDX-License-Identifier: Apache-2.0
public import CForwardingABI

/// Counters, or their rise between two moments.
public struct Counts: Equatable, Sendable {
  public struct Count: Hashable, Sendable {
    public var packets: UInt64 = 0
    public var bytes: UInt64 = 0

    public init(packets: UInt64 = 0, bytes: UInt64 = 0) {
      self.packets = packets
      self.bytes = bytes
    }
  }

  /// By verdict.
  public var verdicts: [Count]
  /// By pair of service and backend.
  public var pairs: [Count]
  /// By flow event.
  public var events: [UInt64]

  public subscript(verdict: verdict) -> Count { verdicts[Int(verdict.rawValue)] }
  public subscript(event: flow_event) -> UInt64 { events[Int(event.rawValue)] }

  /// The verdicts that rose, and by how much.
  public var risen: [verdict: Count] {
    var risen: [verdict: Count] = [:]
    for (index, count) in verdicts.enumerated() where count != Count() {
      risen[CForwardingABI.verdict(rawValue: UInt32(index))!] = count
    }
    return risen
  }

  public static func - (left: Counts, right: Counts) -> Counts {
    func minus(_ left: [Count], _ right: [Count]) -> [Count] {
      zip(left, right).map { Count(packets: $0.packets - $1.packets, bytes: $0.bytes - $1.bytes) }
    }
    return Counts(
      verdicts: minus(left.verdicts, right.verdicts), pairs: minus(left.pairs, right.pairs),
      events: zip(left.events, right.events).map { $0 - $1 })
  }
}
