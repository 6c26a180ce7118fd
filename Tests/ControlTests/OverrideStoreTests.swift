// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing
import Testing

@testable import Control

@Suite struct OverrideStoreTests {
  private let directory = NSTemporaryDirectory() + "overrides-\(UUID().uuidString)"
  private var path: String { directory + "/overrides.json" }
  private static let wrong =
    #"{"version": 1, "overrides": [{"pool": "web", "backend": "b1", "presence": "as_configured", "weight": -5, "by": "root", "at": 1}]}"#

  private func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
  }

  /// A store whose file has this content.
  private func store(_ content: String) throws -> OverrideStore {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try content.write(toFile: path, atomically: false, encoding: .utf8)
    return OverrideStore(directory: directory)
  }

  @Test(arguments: ["{", wrong])
  func `loading changes no file, however often a start is refused, and saving sets aside what cannot be used`(
    _ content: String
  ) throws {
    var store = try store(content)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    for _ in 1...3 {
      store = OverrideStore(directory: directory)
      let loaded = store.load(for: DesiredState())
      #expect(!loaded.isComplete)
      #expect(try names() == ["overrides.json"])
      #expect(try String(contentsOfFile: path, encoding: .utf8) == content)
    }
    try store.save([])
    try store.save([])
    #expect(try names() == ["overrides.json", "overrides.json.set-aside-1"])
    #expect(store.load(for: DesiredState()).isComplete)
  }

  @Test func `what cannot be set aside is not overwritten, and each save tries again`() throws {
    var store = try store(Self.wrong)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    _ = store.load(for: DesiredState())
    let obstacle = path + ".set-aside-1.new"
    try FileManager.default.createDirectory(atPath: obstacle, withIntermediateDirectories: false)
    #expect(throws: OverrideStoreError.self) { try store.save([]) }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == Self.wrong)
    #expect(store.setAside.isEmpty)
    try FileManager.default.removeItem(atPath: obstacle)
    try store.save([])
    #expect(store.setAside == [path + ".set-aside-1"])
  }

  @Test func `a file that was set aside and not replaced is not taken for none`() throws {
    var store = try store("{")
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try FileManager.default.moveItem(atPath: path, toPath: path + ".set-aside-1")
    #expect(store.load(for: DesiredState()).unreadable?.contains("set aside") == true)
    try FileManager.default.removeItem(atPath: path + ".set-aside-1")
    #expect(store.load(for: DesiredState()).isComplete)
  }

  @Test func `an address is one backend's`() throws {
    let pool = Pool(name: "web", backends: [Backend(name: "b1", address: IPAddress("10.0.0.1")!)])
    func entry(_ backend: String, _ presence: String, _ address: String = "10.0.0.1") -> String {
      #"{"pool": "web", "backend": "\#(backend)", "presence": "\#(presence)", "address": "\#(address)", "by": "root", "at": 1}"#
    }
    for (entries, used) in [
      ([entry("b2", "added")], []),
      ([entry("b2", "added"), entry("b1", "removed")], ["b2", "b1"]),
      ([entry("b2", "added", "10.0.0.2"), entry("b3", "added", "10.0.0.2")], ["b2"]),
    ] {
      var store = try store(#"{"version": 1, "overrides": [\#(entries.joined(separator: ","))]}"#)
      defer { try? FileManager.default.removeItem(atPath: directory) }
      let loaded = store.load(for: DesiredState(pools: [pool]))
      #expect(loaded.overrides.map(\.backend) == used)
      #expect(loaded.rejected.count == entries.count - used.count)
    }
  }
}
