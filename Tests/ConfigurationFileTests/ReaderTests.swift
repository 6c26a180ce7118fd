// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing
import Testing

@testable import ConfigurationFile

/// Reading again and again gives the reports of fresh readings, and parses only what changed.
@Suite final class ReaderTests {
  let directory = FileManager.default.temporaryDirectory
    .appending(path: "sl-reader-\(ProcessInfo.processInfo.processIdentifier)-\(UUID().uuidString)")
  var main: String { directory.appending(path: "sluice.yaml").path }

  init() throws {
    try FileManager.default.createDirectory(
      at: directory.appending(path: "conf.d"), withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  private func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: directory.appending(path: name))
  }

  private func writePools(_ names: ClosedRange<Int>, weight: Int = 100) throws {
    for name in names {
      try write("conf.d/\(name).yaml", TextSource.file(name, weight: weight))
    }
  }

  // MARK: What is not done again

  @Test func `only files that changed are parsed`() throws {
    try write("sluice.yaml", TextSource.main())
    try writePools(1...8)
    let reader = ConfigurationReader(path: main)
    let first = reader.read()
    #expect(first.diagnostics == [])
    let second = reader.read()
    try writePools(3...3, weight: 7)
    let third = reader.read()
    #expect(second.configuration == first.configuration)
    #expect(third.configuration == ConfigurationLoader.load(path: main).configuration)
    #expect(third.configuration != first.configuration)
    // A step is a value that is parsed: those of the main file, and of one drop-in of eight.
    #expect(second.steps * 4 < first.steps)
    #expect(third.steps > second.steps && third.steps * 2 < first.steps)
  }

  @Test func `pools that stay the same share their storage`() throws {
    try write("sluice.yaml", TextSource.main())
    try writePools(1...3)
    let reader = ConfigurationReader(path: main)
    let before = try #require(reader.read().configuration?.desired.pools)
    try writePools(2...2, weight: 7)
    let after = try #require(reader.read().configuration?.desired.pools)
    try write("sluice.yaml", TextSource.main(limits: 63))
    let last = try #require(reader.read().configuration?.desired.pools)
    func storage(_ pools: [Pool]) -> [UInt] {
      pools.map { unsafe $0.backends.withUnsafeBytes { UInt(bitPattern: unsafe $0.baseAddress) } }
    }
    #expect(before.map(\.name) == ["p1", "q1", "p2", "q2", "p3", "q3"])
    #expect(zip(storage(before), storage(after)).map { $0 == $1 } == [true, true, false, true, true, true])
    #expect(storage(after) == storage(last))
  }

  @Test func `a finding in one file keeps no other from being kept`() throws {
    try write("sluice.yaml", TextSource.main())
    try writePools(1...8)
    let reader = ConfigurationReader(path: main)
    let first = reader.read()
    try write("conf.d/2.yaml", "pools: [\n")
    #expect(reader.read().errors.map(\.code) == [.syntax])
    try writePools(2...2)
    let mended = reader.read()
    #expect(mended.configuration == first.configuration)
    #expect(mended.steps * 2 < first.steps)
  }

  @Test func `beyond a limit files are parsed each time`() {
    var known = KnownFiles(main: [])
    known.hasMain = true
    let document = Document(file: 1, findings: Findings([]), octets: 0)
    for index in 1...40 {
      let octets = [UInt8](repeating: UInt8(ascii: "#"), count: 1 << 20)
      known.append(
        KnownFile(
          octets: octets, text: SourceText(path: "\(index)", octets: []), document: document, pools: [],
          services: []), at: index, firstPool: 0)
    }
    let texts = (0...40).map {
      SourceFile(path: "\($0)", text: $0 == 0 ? "" : String(repeating: "#", count: 1 << 20))
    }
    #expect(known.reusable(in: FoundFiles(texts)).count == KnownFiles.maximumOctets >> 20)
  }

  // MARK: Random histories

  @Test(arguments: 1...6) func `a history of edits`(seed: UInt64) throws {
    var source = TextSource(seed: seed)
    let reader = ConfigurationReader(path: main)
    var kinds = (good: 0, warned: 0, bad: 0, skipped: 0)
    for step in 1...100 {
      for (name, text) in source.edit() {
        let url = directory.appending(path: name)
        if let text { try Data(text).write(to: url) } else { try? FileManager.default.removeItem(at: url) }
      }
      let (again, fresh) = (reader.read(), ConfigurationLoader.load(path: main))
      guard
        again.configuration == fresh.configuration, again.diagnostics == fresh.diagnostics,
        again.errorCount == fresh.errorCount, again.warningCount == fresh.warningCount
      else {
        Issue.record("step \(step):\n\(again.rendered())\ninstead of\n\(fresh.rendered())")
        return
      }
      if fresh.errorCount > 0 {
        kinds.bad += 1
      } else if fresh.warningCount > 0 {
        kinds.warned += 1
      } else {
        kinds.good += 1
      }
      if again.steps < fresh.steps { kinds.skipped += 1 }
    }
    #expect(min(kinds.good, kinds.bad) >= 4 && kinds.skipped >= 40, "\(kinds)")
  }
}

/// Texts of a configuration of several files, and random edits of them.
private struct TextSource {
  private var random: Random
  private var files: [Int: [UInt8]] = [:]
  private var mainText: [UInt8] = Array(Self.main().utf8)

  private struct Random: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      return mix(state)
    }
  }

  init(seed: UInt64) { random = Random(state: seed) }

  static func main(
    limits: Int = 64, defaults: String = "encapsulation: { type: ipip, source4: 10.255.0.0/16 }"
  )
    -> String
  {
    """
    version: 1
    interfaces: [{ name: eth0 }]
    hash_seed: "a secret of the tests"
    defaults: { table_size: 1009, \(defaults) }
    limits: { services: 256, pools: \(limits), backends: 512, slots: 400000, pairs: 16384 }

    """
  }

  /// A file with two pools and their services.
  static func file(
    _ number: Int, weight: Int = 100, address: String? = nil, vip: String? = nil, pool: String? = nil,
    extra: String = ""
  ) -> String {
    let backends = (1...5).map { member in
      let own = "10.\(number).0.\(member)"
      return "{ name: b\(member), address: \(member == 1 ? address ?? own : own)"
        + (member == 2 ? ", weight: \(weight) }" : " }")
    }
    return """
      pools:
        p\(number): { backends: [\(backends.joined(separator: ", "))] }
        q\(number): { settle: 3h, backends: [{ name: b1, address: 10.\(number).1.1 }] }
      services:
        - { name: s\(number), vips: [\(vip ?? "192.0.2.\(number)")], ports: [80/tcp], pool: \(pool ?? "p\(number)") }
        - { name: t\(number), vips: [192.0.2.\(number)], ports: [53/udp], pool: q\(number) }
      \(extra)
      """
  }

  /// - Returns: new contents by name; nil: the file is removed.
  mutating func edit() -> [String: [UInt8]?] {
    if files.isEmpty {
      for number in 1...6 { files[number] = Array(Self.file(number).utf8) }
      return changed(Array(1...6))
    }
    let number = Int.random(in: 1...7, using: &random)
    let other = Int.random(in: 1...7, using: &random)
    switch Int.random(in: 0..<32, using: &random) {
    case 0: files[number] = Array(Self.file(number, address: "10.\(other).0.2").utf8)
    case 1: files[number] = Array(Self.file(number, vip: "192.0.2.\(other)").utf8)
    case 2: files[number] = Array(Self.file(number, address: "192.0.2.\(other)").utf8)
    case 3: files[number] = Array(Self.file(number, pool: "p\(other)").utf8)
    case 4: files[number] = Array(Self.file(number, address: "10.255.0.1").utf8)
    case 5:
      files[number] = Array(
        Self.file(number, weight: 0).replacingOccurrences(of: "q\(number)", with: "q\(other)").utf8)
    case 6: files[number] = Array(Self.file(number, extra: "typo: 1").utf8)
    case 7: files[number] = Array(Self.file(number, extra: "# a\ttab \u{1}").utf8)
    case 8: files[number] = Array("pools: [\n".utf8)
    case 9: files[number] = [0xEF, 0xBB, 0xBF] + Array(Self.file(number).utf8)
    case 10: files[number] = [0x76, 0xFF, 0xFE]
    case 11: files[number] = nil
    case 12: mainText = Array(Self.main(defaults: "settle: 1h").utf8)
    case 13: mainText = Array(Self.main(defaults: "check: { type: tcp }, require: 90%").utf8)
    case 14: mainText = Array(Self.main(limits: 11).utf8)
    case 15: mainText = Array("version: [\n".utf8)
    case 16: mainText = Array(Self.main(defaults: "encapsulation: { type: ipip, port: 1 }").utf8)
    case 17..<24:
      // All is as it was at first.
      mainText = Array(Self.main().utf8)
      for number in 1...7 { files[number] = number == 7 ? nil : Array(Self.file(number).utf8) }
      return changed(Array(1...7))
    case 24: break
    default:
      let weight = Int.random(in: 1...200, using: &random)
      files[number] = Array(Self.file(number, weight: weight).utf8)
    }
    return changed([number])
  }

  private func changed(_ numbers: [Int]) -> [String: [UInt8]?] {
    var changed: [String: [UInt8]?] = ["sluice.yaml": .some(mainText)]
    for number in numbers { changed.updateValue(files[number], forKey: "conf.d/\(number).yaml") }
    return changed
  }
}
