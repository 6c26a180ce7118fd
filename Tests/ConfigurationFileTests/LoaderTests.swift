// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import LoadBalancing
import Testing

/// Files on disk: a directory for each test, gone when it ends.
@Suite final class LoaderTests {
  let directory = FileManager.default.temporaryDirectory
    .appending(path: "sl-config-\(ProcessInfo.processInfo.processIdentifier)-\(UUID().uuidString)")
  var main: String { directory.appending(path: "sluice.yaml").path }

  init() throws {
    try FileManager.default.createDirectory(
      at: directory.appending(path: "conf.d"), withIntermediateDirectories: true)
    try write("sluice.yaml", goodText)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  private func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: directory.appending(path: name))
  }

  private let extra = """
    pools:
      extra: { table_size: 1009, backends: [{ name: e1, address: 10.9.0.1 }] }
    services:
      - { name: extra, vips: [192.0.2.99], ports: [99/tcp], pool: extra }
    """

  @Test func dropInsAreRead() throws {
    try write("conf.d/20-extra.yaml", extra)
    try write("conf.d/.hidden.yaml", "nonsense: [")
    try write("conf.d/notes.txt", "nonsense: [")
    let report = ConfigurationLoader.load(path: main)
    #expect(report.diagnostics == [])
    #expect(report.configuration?.desired.pools.map(\.name) == ["web", "dns", "extra"])
  }

  @Test func twiceDefinedNamesBothPlaces() throws {
    try write("conf.d/10-a.yaml", extra)
    try write("conf.d/20-b.yaml", extra.replacingFirst("vips: [192.0.2.99]", with: "vips: [192.0.2.98]"))
    let errors = ConfigurationLoader.load(path: main).errors
    #expect(errors.map(\.brief) == ["2:3 duplicate-name", "4:13 duplicate-name"])
    #expect(errors.allSatisfy { $0.file.hasSuffix("/conf.d/20-b.yaml") })
    #expect(errors.map { $0.related?.line } == [2, 4])
    #expect(errors.allSatisfy { $0.related?.file.hasSuffix("/conf.d/10-a.yaml") == true })
  }

  @Test func dropInsHavePoolsAndServicesOnly() throws {
    try write("conf.d/a.yaml", "limits: { flows: 2000 }\npool: {}\n")
    let errors = ConfigurationLoader.load(path: main).errors
    #expect(errors.map(\.brief) == ["1:1 not-in-drop-in", "2:1 unknown-key"])
    #expect(errors.map(\.suggestion) == [nil, "pools"])
  }

  @Test func aBrokenDropInHidesNoOtherMistake() throws {
    try write("conf.d/a.yaml", "pools: [\n")
    try write(
      "conf.d/b.yaml", "services: [{ name: x, vips: [192.0.2.7], ports: [1/tcp], pool: from-a, x: 1 }]\n")
    let errors = ConfigurationLoader.load(path: main).errors
    // That from-a is unknown may be a.yaml's fault.
    #expect(errors.map(\.code) == [.syntax, .unknownKey])
  }

  @Test func unreadableFiles() throws {
    #expect(
      ConfigurationLoader.load(path: "\(directory.path)/none.yaml").errors.map(\.brief) == [
        "1:1 unreadable-file"
      ])
    #expect(ConfigurationLoader.load(path: directory.path).errors.map(\.brief) == ["1:1 unreadable-file"])
    try Data([0x76, 0xFF, 0xFE]).write(to: directory.appending(path: "conf.d/a.yaml"))
    try write("conf.d/b.yaml", "#" + String(repeating: "x", count: 1 << 20))
    try write("conf.d/c.yaml", "#" + String(repeating: "x", count: (1 << 20) - 1))
    let errors = ConfigurationLoader.load(path: main).errors
    #expect(errors.map(\.brief) == ["1:1 not-utf8", "1:1 too-large"])
    #expect(errors.map { $0.file.suffix(6) } == ["a.yaml", "b.yaml"])
    #expect(parse(goodText + "#" + String(repeating: "x", count: 1 << 20)).errors.map(\.code) == [.tooLarge])
  }

  @Test func seedFromAFile() throws {
    let seed = directory.appending(path: "seed").path
    let text = goodText.replacingFirst(
      "hash_seed: \"a secret of the tests\"", with: "hash_seed_file: \(seed)")
    try write("sluice.yaml", text)
    try write("seed", " the seed of the file\n\n")
    try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: seed)
    var report = ConfigurationLoader.load(path: main)
    #expect(report.diagnostics == [])
    #expect(report.configuration?.node.hashSeed == "the seed of the file")
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: seed)
    report = ConfigurationLoader.load(path: main)
    #expect(report.diagnostics.map(\.brief) == ["5:17 seed-file-permissions"])
    try write("seed", "short\n")
    #expect(ConfigurationLoader.load(path: main).errors.map(\.brief) == ["5:17 seed-too-short"])
    try write("seed", String(repeating: "x", count: 5000))
    #expect(ConfigurationLoader.load(path: main).errors.map(\.brief) == ["5:17 seed-file"])
  }
}
