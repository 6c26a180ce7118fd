// SPDX-License-Identifier: Apache-2.0
internal import CForwardingABI

/// The keys of the flow hash, expanded from the configured seed by HKDF-SHA-256 (RFC 5869). The same seed gives the
/// same keys on every balancer. The keys say nothing about the seed; what an observer of flows can learn about the keys
/// is discussed in `flow_hash.h`.
struct HashKeys {
  let keys: [UInt64]
  /// Tells one seed from another without giving it away.
  let digest: UInt64

  init(seed: String) {
    let count = Int(HASH_KEYS)
    // The label changes with the number of keys: under the same one, the digest of fewer keys would be the next key.
    let octets = KeyDerivation.expand(
      Array(seed.utf8), info: Array("sluice flow hash keys v2".utf8), count: (count + 1) * 8)
    let words = stride(from: 0, to: octets.count, by: 8).map { start in
      octets[start..<(start + 8)].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    }
    keys = Array(words.prefix(count))
    digest = words[count]
  }
}

extension forwarder_constants {
  /// With the keys of the hash, and nothing else.
  init(hashKeys: [UInt64]) {
    self.init()
    unsafe withUnsafeMutableBytes(of: &hash_keys) { bytes in
      unsafe hashKeys.withUnsafeBytes { unsafe bytes.copyMemory(from: $0) }
    }
  }
}
