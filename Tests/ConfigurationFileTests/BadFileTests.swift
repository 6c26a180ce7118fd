// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import Testing

/// The files of `bad/`: each has one mistake, says which in its first line, and is named after it. The lab shows
/// the same files to `sluice config check`.
@Suite struct BadFileTests {
  static let files: [String] = {
    let directory = repository.appending(path: "Tests/ConfigurationFileTests/bad").path
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.filter { $0.hasSuffix(".yaml") }.sorted().map { "\(directory)/\($0)" }
  }()

  @Test func thereAreEnough() { #expect(Self.files.count >= 30) }

  @Test(arguments: files) func file(path: String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let expected = try #require(text.split(separator: "\n").first).dropFirst("# expect: ".count)
    let report = ConfigurationLoader.load(path: path)
    #expect(report.errors.map(\.brief) == [String(expected)], "\(report.rendered())")
    #expect(report.configuration == nil)
  }
}
