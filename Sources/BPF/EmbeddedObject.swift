// SPDX-License-Identifier: Apache-2.0

/// A compiled BPF object that travels inside the binary. The `CompileBPF` plugin writes one static member for
/// each program that a target carries.
public struct EmbeddedObject: Sendable {
  /// The source's name without `.bpf.c`. libbpf puts it before the names of `.rodata` and its like.
  public let name: String
  private let base64: String

  /// Made by generated code only: `base64` is trusted to be well formed.
  public init(name: String, base64: String) {
    self.name = name
    self.base64 = base64
  }

  /// The ELF file. Decoded anew by each call, because a program is opened once.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(base64.utf8.count / 4 * 3)
    var bits: UInt32 = 0
    var bitCount = 0
    for character in base64.utf8 {
      guard let digit = Self.value(of: character) else { break }
      bits = bits << 6 | digit
      bitCount += 6
      if bitCount >= 8 {
        bitCount -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> bitCount))
      }
    }
    return bytes
  }

  /// `nil` for the padding that ends the text.
  private static func value(of character: UInt8) -> UInt32? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
