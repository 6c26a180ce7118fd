// SPDX-License-Identifier: Apache-2.0
import BPF
import Testing

@Suite struct EmbeddedObjectTests {
  @Test(arguments: [
    ("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmFy", "foobar"),
    ("Pz8/Pj4+", "???>>>"),
  ])
  func base64IsDecoded(text: String, plain: String) {
    #expect(EmbeddedObject(name: "x", base64: text).bytes == Array(plain.utf8))
  }

  @Test func theProbeTravelsInTheBinary() {
    #expect(EmbeddedObject.probe.name == "probe")
    let bytes = EmbeddedObject.probe.bytes
    #expect(bytes.starts(with: [0x7f] + Array("ELF".utf8)))
    let sections = String(decoding: bytes, as: UTF8.self)
    #expect(sections.contains(".BTF"))
    #expect(!sections.contains(".debug_info"), "DWARF is stripped")
  }
}
