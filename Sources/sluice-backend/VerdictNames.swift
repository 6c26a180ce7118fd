// SPDX-License-Identifier: Apache-2.0
internal import CForwardingABI

/// The counter of a verdict.
struct DecapsulationCount: Encodable {
  let verdict: String
  let packets: UInt64
  /// Octets of the frames as received.
  let bytes: UInt64
}

extension decapsulation_verdict {
  static let all = (0..<decapsulation_verdict.DECAPSULATION_VERDICT_COUNT.rawValue).compactMap {
    decapsulation_verdict(rawValue: $0)
  }

  /// Stable: see the ABI header.
  var name: String {
    unsafe decapsulation_verdict_name(self).map { unsafe String(cString: $0).lowercased() }
      ?? "unknown_\(rawValue)"
  }
}
