// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Dataplane

@Suite("Key derivation")
struct KeyDerivationTests {
  /// Lengths around the ends of a block, where padding may need a second one. Digests by Python's hashlib.
  @Test(
    "SHA-256 of a repeated letter",
    arguments: [
      (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      (55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
      (56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
      (63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
      (64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
      (119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"),
      (120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"),
      (1000, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"),
    ])
  func digest(count: Int, expected: String) {
    #expect(hexadecimal(SHA256.digest(Array(repeating: UInt8(ascii: "a"), count: count))) == expected)
  }

  @Test("SHA-256 of the example messages of FIPS 180-4")
  func standardMessages() {
    #expect(
      hexadecimal(SHA256.digest(Array("abc".utf8)))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      hexadecimal(SHA256.digest(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
  }

  @Test("HMAC-SHA-256, RFC 4231 cases 2 and 6: a short key, and one longer than a block")
  func authenticationCode() {
    #expect(
      hexadecimal(
        KeyDerivation.authenticationCode(
          of: Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8)))
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      hexadecimal(
        KeyDerivation.authenticationCode(
          of: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
          key: Array(repeating: 0xaa, count: 131)))
        == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
  }

  @Test("HKDF-SHA-256, RFC 5869 case 3: empty salt and info")
  func expand() {
    #expect(
      hexadecimal(KeyDerivation.expand(Array(repeating: 0x0b, count: 22), info: [], count: 42))
        == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
  }

  /// A fleet's balancers must agree on these whatever version they run: other keys move almost every connection.
  @Test("the keys of a seed never change")
  func keysOfASeed() {
    let keys = HashKeys(seed: "a seed")
    #expect(
      keys.keys == [
        0x64d3_e37f_e005_d9e4, 0x365c_c6c7_5918_46ed, 0xc839_6631_858d_21d5, 0x40c3_bc92_8892_5308,
        0x6065_590e_5941_33dc, 0xb60e_94ac_e3a9_b556, 0x1e5d_36ac_f52d_83fa, 0xc92f_0d42_caeb_bed4,
        0x075a_ffd2_4070_814d, 0x258a_40e5_2f4a_a410, 0x309e_b5dd_463c_e507, 0xb5fe_9ef3_7b0e_dc71,
      ])
    #expect(keys.digest == 0x4034_8fe4_53b9_871d)
  }

  private func hexadecimal(_ octets: [UInt8]) -> String {
    octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
