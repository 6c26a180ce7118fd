// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization
import Testing

@testable import BPF

@Suite struct BPFObjectTests {
  private let frame = [UInt8](repeating: 0, count: 64)

  @Test func bytesThatAreNoELFAreRefused() throws {
    let error = failure { _ = try BPFObject.open(bytes: Array("no object".utf8), name: "junk") }
    #expect(error?.operation == .open)
    #expect(error?.subject == "junk")
    #expect(error?.detail.isEmpty == false, "libbpf's own words are in the error")
  }

  @Test func withoutConstantsTheSourcesOwnHold() throws {
    #expect(try loadProbe().program("probe").testRun(input: frame).returnValue == Verdict.pass)
  }

  @Test(arguments: [Verdict.drop, Verdict.transmit])
  func frozenConstantDecidesTheVerdict(verdict: UInt32) throws {
    var object = try openProbe()
    try object.freeze(section: ".rodata.config", as: ProbeConstants(verdict: verdict))
    #expect(try object.load().program("probe").testRun(input: frame).returnValue == verdict)
  }

  @Test func frozenValueMustFillTheSection() throws {
    var object = try openProbe()
    let error = failure { try object.freeze(section: ".rodata.config", as: UInt32(1)) }
    #expect(error?.errno == EINVAL)
    #expect(error?.detail == "the section has 16 bytes, UInt32 has 4")
  }

  @Test func onlyDataSectionsCanBeFrozen() throws {
    var object = try openProbe()
    #expect(failure { try object.freeze(section: "probe_words", as: UInt64(1)) }?.errno == EINVAL)
    #expect(failure { try object.freeze(section: ".rodata.other", as: UInt64(1)) }?.errno == ENOENT)
  }

  @Test func maxEntriesIsSetBeforeLoading() throws {
    var object = try openProbe()
    try object.setMaxEntries(map: "probe_hash", 7)
    let map = try object.load().map("probe_hash", key: UInt32.self, value: ProbeValue.self)
    #expect(try map.info.maxEntries == 7)
  }

  @Test func refusedProgramComesWithTheVerifiersLastWords() throws {
    var object = try openProbe()
    try object.setAutoload(program: "probe_refused", true)
    var thrown: BPFError?
    do {
      _ = try object.load()
    } catch {
      thrown = error
    }
    let error = try #require(thrown)
    #expect(error.operation == .load)
    #expect(error.errno == EACCES)
    #expect((1...20).contains(error.verifierLog.count))
    #expect(error.verifierLog.contains { $0.contains("invalid access to packet") })
    #expect(error.description.contains("invalid access to packet"))
    #expect(error.detail.contains("probe_refused"), "the detail names the program")
  }

  @Test func programThatIsNotLoadedIsNotGivenOut() throws {
    let object = try loadProbe()
    #expect(failure { _ = try object.program("probe_refused") }?.detail == "it was not loaded")
    #expect(failure { _ = try object.program("absent") }?.errno == ENOENT)
  }

  @Test func reusedMapIsSharedByTwoObjects() throws {
    let first = try loadProbe().map("probe_words", key: UInt32.self, value: UInt64.self)
    var object = try openProbe()
    try object.reuse(map: "probe_words", first.descriptor)
    let second = try object.load()
    try first.update(7, to: 42)
    #expect(try second.program("probe").testRun(input: frame).returnValue == Verdict.drop)
    #expect(try second.map("probe_words", key: UInt32.self, value: UInt64.self).info.id == first.info.id)
  }

  @Test func reusedMapMustHaveTheDeclaredLayout() throws {
    let words = try loadProbe().map("probe_words", key: UInt32.self, value: UInt64.self)
    var object = try openProbe()
    try object.setMaxEntries(map: "probe_words", 8)
    let error = failure { try object.reuse(map: "probe_words", words.descriptor) }
    #expect(error?.operation == .reuse)
    #expect(error?.detail.contains("8 entries") == true)
    #expect(error?.detail.contains("4096 entries") == true)
  }

  @Test func libbpfWritesToTheSink() throws {
    let collected = Collected()
    LibbpfLog.sink = { _, line in collected.append(line) }
    defer { LibbpfLog.sink = nil }
    _ = try openProbe()
    #expect(collected.lines.contains { $0.contains("probe") })
    #expect(!collected.lines.contains { $0.hasPrefix("libbpf:") })
  }
}

private final class Collected: Sendable {
  private let storage = Mutex<[String]>([])
  var lines: [String] { storage.withLock { $0 } }
  func append(_ line: String) { storage.withLock { $0.append(line) } }
}
