// SPDX-License-Identifier: Apache-2.0

/// HKDF with SHA-256 (RFC 5869, FIPS 180-4).
///
/// Sluice derives a few keys from the configured seed when a daemon starts and when a configuration is loaded, and needs
/// no other cryptography here. swift-crypto would bring a second copy of BoringSSL, which doubles the C code that a
/// first build compiles.
enum KeyDerivation {
  /// Derives `count` octets from `material` and `info`, with an empty salt.
  ///
  /// - Precondition: `count` is at most 255 × 32, the limit of RFC 5869.
  static func expand(_ material: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
    precondition(count <= 255 * SHA256.digestSize)
    let key = authenticationCode(of: material, key: [])
    var output: [UInt8] = []
    var block: [UInt8] = []
    var index: UInt8 = 0
    while output.count < count {
      index += 1
      block = authenticationCode(of: block + info + [index], key: key)
      output += block
    }
    return Array(output.prefix(count))
  }

  /// HMAC-SHA-256 (RFC 2104).
  static func authenticationCode(of message: [UInt8], key: [UInt8]) -> [UInt8] {
    var block = key.count > SHA256.blockSize ? SHA256.digest(key) : key
    block += Array(repeating: 0, count: SHA256.blockSize - block.count)
    let inner = SHA256.digest(block.map { $0 ^ 0x36 } + message)
    return SHA256.digest(block.map { $0 ^ 0x5c } + inner)
  }
}

/// SHA-256 (FIPS 180-4) of a message that is held in memory.
enum SHA256 {
  /// The size of a digest, in octets.
  static let digestSize = 32
  /// The size of the blocks that the message is processed in, in octets.
  static let blockSize = 64

  /// Returns the 32 octets of the digest.
  static func digest(_ message: [UInt8]) -> [UInt8] {
    let length = UInt64(message.count) * 8
    let zeros = (2 * blockSize - 9 - message.count % blockSize) % blockSize
    let padded = message + [0x80] + Array(repeating: 0, count: zeros) + octets(of: length)
    var state = initialState
    for start in stride(from: 0, to: padded.count, by: blockSize) {
      compress(padded[start..<(start + blockSize)], into: &state)
    }
    return state.flatMap(octets)
  }

  /// Mixes one block into the state (FIPS 180-4, 6.2.2).
  private static func compress(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
    var schedule = stride(from: block.startIndex, to: block.endIndex, by: 4).map { start in
      block[start..<(start + 4)].reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
    }
    for index in 16..<64 {
      let (early, late) = (schedule[index - 15], schedule[index - 2])
      let first = early.rotated(7) ^ early.rotated(18) ^ early >> 3
      let second = late.rotated(17) ^ late.rotated(19) ^ late >> 10
      schedule.append(schedule[index - 16] &+ first &+ schedule[index - 7] &+ second)
    }
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for index in 0..<64 {
      let choice = (e & f) ^ (~e & g)
      let majority = (a & b) ^ (a & c) ^ (b & c)
      let first =
        h &+ (e.rotated(6) ^ e.rotated(11) ^ e.rotated(25)) &+ choice &+ constants[index] &+ schedule[index]
      let second = (a.rotated(2) ^ a.rotated(13) ^ a.rotated(22)) &+ majority
      (a, b, c, d, e, f, g, h) = (first &+ second, a, b, c, d &+ first, e, f, g)
    }
    for (index, word) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= word }
  }

  /// The octets of an integer, most significant first.
  private static func octets<Word: FixedWidthInteger>(of word: Word) -> [UInt8] {
    stride(from: Word.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> $0) }
  }

  /// The first 32 bits of the fractional parts of the square roots of the first 8 primes.
  private static let initialState: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
  ]

  /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
  private static let constants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
  ]
}

extension UInt32 {
  /// The word rotated right by `count` bits, 1 to 31.
  fileprivate func rotated(_ count: UInt32) -> UInt32 { self >> count | self << (32 - count) }
}
