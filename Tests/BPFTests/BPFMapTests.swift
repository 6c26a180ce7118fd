// SPDX-License-Identifier: Apache-2.0
import BPF
import Glibc
import Testing

@Suite struct BPFMapTests {
  private func hash(entries: UInt32 = 1024) throws -> BPFMap<UInt32, ProbeValue> {
    var object = try openProbe()
    try object.setMaxEntries(map: "probe_hash", entries)
    return try object.load().map("probe_hash")
  }

  @Test func whatIsWrittenIsRead() throws {
    let map = try hash()
    #expect(try map.lookup(1) == nil)
    try map.update(1, to: ProbeValue(first: 2, second: 3))
    #expect(try map.lookup(1) == ProbeValue(first: 2, second: 3))
    #expect(try map.delete(1))
    #expect(try !map.delete(1))
    #expect(try map.lookup(1) == nil)
  }

  @Test func updateKeepsItsCondition() throws {
    let map = try hash()
    let value = ProbeValue(first: 1, second: 1)
    #expect(failure { try map.update(1, to: value, when: .exist) }?.errno == ENOENT)
    try map.update(1, to: value, when: .noExist)
    #expect(failure { try map.update(1, to: value, when: .noExist) }?.errno == EEXIST)
    try map.update(1, to: value, when: .exist)
  }

  @Test func fullHashRefuses() throws {
    let map = try hash(entries: 1)
    try map.update(1, to: ProbeValue(first: 1, second: 1))
    let error = failure { try map.update(2, to: ProbeValue(first: 1, second: 1)) }
    #expect(error?.errno == E2BIG)
    #expect(error?.operation == .update)
    #expect(error?.subject == "probe_hash")
  }

  @Test(arguments: [0, 1, 10_000])
  func everyEntryIsMetOnce(count: Int) throws {
    let map = try hash(entries: 10_000)
    for key in 0..<UInt32(count) { try map.update(key, to: ProbeValue(first: key, second: ~key)) }
    let entries = try map.entries().sorted { $0.key < $1.key }
    #expect(entries.map(\.key) == Array(0..<UInt32(count)))
    #expect(entries.allSatisfy { $0.value == ProbeValue(first: $0.key, second: ~$0.key) })
  }

  @Test func entriesCanBeDeletedOnTheWay() throws {
    let map = try hash(entries: 10_000)
    for key in 0..<UInt32(10_000) { try map.update(key, to: ProbeValue(first: key, second: 0)) }
    var met = 0
    try map.forEachEntry { key, _ in
      met += 1
      if key % 2 == 0 { _ = try? map.delete(key) }
    }
    #expect(met == 10_000)
    #expect(try map.entries().count == 5_000)
  }

  @Test func keysFollowEachOther() throws {
    let map = try hash()
    for key: UInt32 in [3, 5, 8] { try map.update(key, to: ProbeValue(first: 0, second: 0)) }
    var keys: Set<UInt32> = []
    var next = try map.nextKey()
    while let key = next {
      keys.insert(key)
      next = try map.nextKey(after: key)
    }
    #expect(keys == [3, 5, 8])
  }

  @Test func mapOutlivesItsObject() throws {
    func take() throws -> BPFMap<UInt32, ProbeValue> {
      let object = try loadProbe()
      return try object.map("probe_hash")
    }
    let map = try take()
    try map.update(9, to: ProbeValue(first: 9, second: 9))
    #expect(try map.lookup(9)?.first == 9)
  }

  @Test func infoTellsTheLayout() throws {
    let map = try loadProbe().map("probe_words", key: UInt32.self, value: UInt64.self)
    let info = try map.info
    #expect(info.type == .array)
    #expect([info.keySize, info.valueSize, info.maxEntries] == [4, 8, 4096])
    #expect(info.name == "probe_words")
    #expect(info.id > 0)
  }

  @Test func wrongTypesAreRefused() throws {
    let object = try loadProbe()
    let narrow = failure { _ = try object.map("probe_hash", key: UInt16.self, value: ProbeValue.self) }
    #expect(narrow?.detail == "its keys have 4 bytes, UInt16 has 2")
    let wide = failure { _ = try object.map("probe_hash", key: UInt32.self, value: UInt32.self) }
    #expect(wide?.detail == "its values have 8 bytes, UInt32 has 4")
    #expect(failure { _ = try object.map("probe_counters", key: UInt32.self, value: UInt64.self) } != nil)
    #expect(failure { _ = try object.perCPUMap("probe_words", key: UInt32.self, value: UInt64.self) } != nil)
    #expect(failure { _ = try object.map("absent", key: UInt32.self, value: UInt32.self) }?.errno == ENOENT)
  }

  @Test func arrayRangesAreReadAtOnce() throws {
    let map = try loadProbe().map("probe_words", key: UInt32.self, value: UInt64.self)
    for index in 0..<UInt32(4096) { try map.update(index, to: UInt64(index) * 3) }
    #expect(try map.lookup(0..<4096) == (0..<4096).map { $0 * 3 })
    #expect(try map.lookup(4090..<4096) == (4090..<4096).map { $0 * 3 })
    #expect(try map.lookup(1..<2) == [3])
    #expect(try map.lookup(5..<5) == [])
    #expect(failure { _ = try map.lookup(4090..<4097) }?.operation == .lookup)
  }

  @Test func pinnedMapIsTheSameMap() throws {
    let folder = try PinFolder()
    let path = folder.file("hash")
    let map = try hash()
    try map.pin(at: path)
    try map.update(1, to: ProbeValue(first: 4, second: 5))
    #expect(
      try BPFMap<UInt32, ProbeValue>.openPinned(path: path).lookup(1) == ProbeValue(first: 4, second: 5))
    #expect(failure { try map.pin(at: path) }?.errno == EEXIST)
  }

  @Test func pinOfAnotherKindIsRefused() throws {
    let folder = try PinFolder()
    let (map, program) = (folder.file("hash"), folder.file("program"))
    try hash().pin(at: map)
    try loadProbe().program("probe").pin(at: program)
    #expect(failure { _ = try BPFMap<UInt32, UInt32>.openPinned(path: map) }?.errno == EINVAL)
    #expect(
      failure { _ = try BPFMap<UInt32, UInt32>.openPinned(path: program) }?.detail == "the pin is not a map")
    #expect(failure { _ = try BPFProgram.openPinned(path: map) }?.detail == "the pin is not a program")
    #expect(failure { _ = try BPFLink.openPinned(path: map) }?.detail == "the pin is not a link")
    #expect(failure { _ = try BPFProgram.openPinned(path: folder.path + "/absent") }?.errno == ENOENT)
  }
}
