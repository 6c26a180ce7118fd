// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import Synchronization
import Testing

/// Files that cannot be read to their end, in every place where the configuration has a file.
final class SpecialFileTests {
  let directory = FileManager.default.temporaryDirectory
    .appending(path: "sl-special-\(ProcessInfo.processInfo.processIdentifier)-\(UUID().uuidString)")
  var main: String { directory.appending(path: "sluice.yaml").path }

  init() throws {
    try FileManager.default.createDirectory(
      at: directory.appending(path: "conf.d"), withIntermediateDirectories: true)
    try Data(goodText.utf8).write(to: directory.appending(path: "sluice.yaml"))
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  private func fifo(_ name: String) -> String {
    let path = directory.appending(path: name).path
    unlink(path)
    #expect(mkfifo(path, 0o600) == 0)
    return path
  }

  private func replace(_ text: String, with other: String) throws {
    let changed = goodText.replacingOccurrences(of: text, with: other)
    #expect(changed != goodText)
    try Data(changed.utf8).write(to: directory.appending(path: "sluice.yaml"))
  }

  @Test func aFIFOAsTheMainFileIsRefused() {
    _ = fifo("sluice.yaml")
    let errors = ConfigurationLoader.load(path: main).errors
    #expect(errors.map(\.message) == ["cannot read the file: it is not a regular file"])
  }

  @Test(arguments: ["/dev/zero", "/dev/tty", "/dev/ptmx", "/"])
  func aDeviceOrDirectoryInDropInsIsRefused(target: String) throws {
    let link = directory.appending(path: "conf.d/a.yaml").path
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
    let errors = ConfigurationLoader.load(path: main).errors
    #expect(errors.map(\.file) == [link])
    #expect(errors.first?.message.hasPrefix("cannot read the file: ") == true, "\(errors)")
  }

  @Test func aFIFOInDropInsIsRefused() {
    let path = fifo("conf.d/a.yaml")
    let errors = ConfigurationLoader.load(path: main).errors
    #expect(errors.map(\.file) == [path])
    #expect(errors.map(\.message) == ["cannot read the file: it is not a regular file"])
  }

  @Test func aFIFOAsTheSeedIsRefused() throws {
    try replace("hash_seed: \"a secret of the tests\"", with: "hash_seed_file: \(fifo("seed"))")
    let errors = ConfigurationLoader.load(path: main).errors
    #expect(errors.count == 1)
    #expect(errors.first?.message.hasSuffix("it is not a regular file") == true, "\(errors)")
  }

  @Test func aFIFOAsAuthoritiesIsToldOf() throws {
    let path = fifo("ca.pem")
    try replace(
      "    hash: source",
      with: "    check: { type: https, port: 443, host: a.example, tls_ca: \(path) }\n    hash: source")
    let warnings = ConfigurationLoader.load(path: main).warnings
    #expect(warnings.contains { $0.message.contains("it is not a regular file") }, "\(warnings)")
  }

  @Test func aReadingThatHangsIsGivenUp() {
    let release = DispatchSemaphore(value: 0)
    defer { for _ in 0..<8 { release.signal() } }
    func load() -> ConfigurationReport {
      ConfigurationLoader.load(path: main, within: .milliseconds(200)) { _, _ in
        release.wait()
        return ConfigurationReport(configuration: nil, diagnostics: [])
      }
    }
    for _ in 0..<4 {
      let report = load()
      #expect(report.errors.first?.message.contains("does a file system hang?") == true, "\(report)")
    }
    #expect(load().errors.first?.message.contains("still wait for a file system") == true)
    for _ in 0..<4 { release.signal() }
    // Those that hung have ended, so that the next one is tried.
    for _ in 0..<100 {
      if ConfigurationLoader.load(path: main, within: .seconds(10)).configuration != nil { return }
      usleep(20_000)
    }
    Issue.record("no configuration is read any more")
  }
}
