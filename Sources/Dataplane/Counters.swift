// SPDX-License-Identifier: Apache-2.0
internal import CForwardingABI

/// Packets and the octets of their frames, as received, Ethernet header included.
public struct Counter: Hashable, Sendable {
  public var packets: UInt64
  public var bytes: UInt64

  public init(packets: UInt64 = 0, bytes: UInt64 = 0) {
    self.packets = packets
    self.bytes = bytes
  }

  public static func + (left: Counter, right: Counter) -> Counter {
    Counter(packets: left.packets &+ right.packets, bytes: left.bytes &+ right.bytes)
  }

  public static func - (left: Counter, right: Counter) -> Counter {
    Counter(packets: left.packets &- right.packets, bytes: left.bytes &- right.bytes)
  }

  init(_ abi: counter) { self.init(packets: abi.packets, bytes: abi.bytes) }

  var abi: counter { counter(packets: packets, bytes: bytes) }
}

/// What became of a packet, by its stable name.
public struct VerdictCount: Hashable, Sendable {
  public enum Class: String, Hashable, Sendable {
    case forwarded, passed, answered, dropped
  }

  /// As in metrics: `forwarded`, `passed_not_ours`, `dropped_no_backend`, …
  public var name: String
  public var verdictClass: Class
  public var count: Counter
}

extension verdict {
  /// The enumerator in lower case, without its prefix.
  var name: String {
    unsafe verdict_name(self).map { unsafe String(cString: $0).lowercased() } ?? "unknown_\(rawValue)"
  }
}

/// What became of flows on slots that remember, in packets since the maps were made.
public struct FlowEvents: Hashable, Sendable {
  public var found: UInt64
  /// An entry was written for a first packet.
  public var started: UInt64
  /// An entry was written, anew or over an expired one, for another packet than a first one.
  public var learned: UInt64
  /// A flow without entry went to its slot's previous backend.
  public var toPrevious: UInt64
  /// No entry could be written: the table was full.
  public var notWritten: UInt64
  /// No entry was written: too many in one tick.
  public var overBudget: UInt64
  /// No entry was written, for whichever reason.
  public var unwritten: UInt64 { notWritten &+ overBudget }

  public init(
    found: UInt64 = 0, started: UInt64 = 0, learned: UInt64 = 0, toPrevious: UInt64 = 0,
    notWritten: UInt64 = 0, overBudget: UInt64 = 0
  ) {
    self.found = found
    self.started = started
    self.learned = learned
    self.toPrevious = toPrevious
    self.notWritten = notWritten
    self.overBudget = overBudget
  }
}
