// SPDX-License-Identifier: Apache-2.0
import BPF
import Foundation
import Glibc
import Testing

@Suite struct PerCPUMapTests {
  @Test func everyRunIsCountedOnSomeCPU() throws {
    var object = try openProbe()
    try object.freeze(section: ".rodata.config", as: ProbeConstants(verdict: Verdict.pass, increment: 3))
    let loaded = try object.load()
    let counters = try loaded.perCPUMap("probe_counters", key: UInt32.self, value: UInt64.self)
    _ = try loaded.program("probe").testRun(input: [UInt8](repeating: 0, count: 64), repeat: 10)
    let values = try #require(try counters.lookup(0))
    #expect(values.count == (try possibleCPUCount()))
    #expect(values.reduce(0, +) == 30)
    #expect(try counters.lookupAll()[0].reduce(0, +) == 30)
  }

  @Test func onlineCPUsAreCounted() throws {
    let list = try String(contentsOfFile: "/sys/devices/system/cpu/online", encoding: .utf8)
    let ranges = list.split { $0 == "," || $0 == "\n" }.map {
      $0.split(separator: "-").compactMap { Int($0) }
    }
    #expect(onlineCPUCount() == ranges.reduce(0) { $0 + ($1.last ?? 0) - ($1.first ?? 0) + 1 })
    #expect(onlineCPUCount() <= (try possibleCPUCount()))
  }

  @Test func wholeArrayIsReadAtOnce() throws {
    var object = try openProbe()
    try object.setMaxEntries(map: "probe_counters", 100_000)
    let counters = try object.load().perCPUMap("probe_counters", key: UInt32.self, value: UInt64.self)
    let cpus = try possibleCPUCount()
    for element: UInt32 in [0, 5, 99_999] {
      try counters.update(element, to: (0..<cpus).map { UInt64(element) * 10 + UInt64($0) })
    }
    let all = try counters.lookupAll()
    #expect(all.count == 100_000)
    #expect(Array(all[5]) == (0..<cpus).map { 50 + UInt64($0) })
    #expect(Array(all[99_999]) == (0..<cpus).map { 999_990 + UInt64($0) })
    #expect(all[6].allSatisfy { $0 == 0 })
    let some = try counters.lookup(4..<7)
    #expect(some.count == 3)
    #expect(Array(some[1]) == Array(all[5]))
  }

  @Test func smallValuesAreUnpacked() throws {
    let tallies = try loadProbe().perCPUMap("probe_tallies", key: UInt32.self, value: UInt32.self)
    #expect(try tallies.lookup(1) == nil)
    let values = (0..<(try possibleCPUCount())).map { UInt32($0) + 7 }
    try tallies.update(1, to: values)
    #expect(try tallies.lookup(1) == values)
    #expect(try tallies.nextKey() == 1)
    #expect(try tallies.delete(1))
  }

  @Test func pinnedMapIsTheSameMap() throws {
    let folder = try PinFolder()
    let path = folder.file("counters")
    let counters = try loadProbe().perCPUMap("probe_counters", key: UInt32.self, value: UInt64.self)
    try counters.pin(at: path)
    let ones = [UInt64](repeating: 1, count: try possibleCPUCount())
    try counters.update(2, to: ones)
    #expect(try PerCPUMap<UInt32, UInt64>.openPinned(path: path).lookup(2) == ones)
    #expect(failure { _ = try BPFMap<UInt32, UInt64>.openPinned(path: path) }?.errno == EINVAL)
  }
}
