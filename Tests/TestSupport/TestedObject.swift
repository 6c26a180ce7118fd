// SPDX-License-Identifier: Apache-2.0
public import BPF
internal import Foundation

/// A compiled program as it travels in the binary, or the one of that name in the directory `SLUICE_TEST_OBJECTS`:
/// scripts/planted-defects runs tests on broken programs.
public func tested(_ embedded: EmbeddedObject) throws -> EmbeddedObject {
  guard let folder = getenv("SLUICE_TEST_OBJECTS").map({ String(cString: $0) }) else { return embedded }
  let path = "\(folder)/\(embedded.name).bpf.o"
  guard FileManager.default.fileExists(atPath: path) else { return embedded }
  let content = try Data(contentsOf: URL(filePath: path))
  return EmbeddedObject(name: embedded.name, base64: content.base64EncodedString())
}
