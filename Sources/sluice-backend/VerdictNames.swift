// SPDX-License-Identifier: Apache-2.0
internal import CForwardingABI

/// How often a verdict was given.
struct VerdictCount: Encodable {
  let verdict: String
  let packets: UInt64
  /// Of whole frames as received.
  let bytes: UInt64
}

extension decapsulation_verdict {
  static let all = (0..<decapsulation_verdict.DECAPSULATION_VERDICT_COUNT.rawValue).compactMap {
    decapsulation_verdict(rawValue: $0)
  }

  /// Stable, as the ABI header says.
  var name: String {
    switch self {
    case .DECAPSULATION_DECAPSULATED: "decapsulated"
    case .DECAPSULATION_PASSED_NOT_IP: "passed_not_ip"
    case .DECAPSULATION_PASSED_NOT_TUNNELLED: "passed_not_tunnelled"
    case .DECAPSULATION_PASSED_OTHER_DESTINATION: "passed_other_destination"
    case .DECAPSULATION_DROPPED_SOURCE: "dropped_source"
    case .DECAPSULATION_DROPPED_OUTER_OPTIONS: "dropped_outer_options"
    case .DECAPSULATION_DROPPED_OUTER_FRAGMENT: "dropped_outer_fragment"
    case .DECAPSULATION_DROPPED_MALFORMED: "dropped_malformed"
    case .DECAPSULATION_DROPPED_UNKNOWN_VIP: "dropped_unknown_vip"
    case .DECAPSULATION_DROPPED_CONGESTION: "dropped_congestion"
    case .DECAPSULATION_DROPPED_NO_ROOM: "dropped_no_room"
    case .DECAPSULATION_DROPPED_INNER_SOURCE: "dropped_inner_source"
    case .DECAPSULATION_DROPPED_INNER_PROTOCOL: "dropped_inner_protocol"
    case .DECAPSULATION_VERDICT_COUNT: "none"
    @unknown default: "verdict_\(rawValue)"
    }
  }
}
