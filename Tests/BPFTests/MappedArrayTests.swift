// SPDX-License-Identifier: Apache-2.0
import BPF
import Glibc
import Testing

@Suite struct MappedArrayTests {
  @Test func storesShowInTheKernelAndBack() throws {
    let object = try loadProbe()
    let map = try object.map("probe_words", key: UInt32.self, value: UInt64.self)
    let mapped = try map.memoryMapped()
    #expect(mapped.count == 4096)
    mapped[3] = 33
    #expect(try map.lookup(3) == 33)
    try map.update(4095, to: 44)
    #expect(mapped[4095] == 44)

    let program = try object.program("probe")
    let frame = [UInt8](repeating: 0, count: 64)
    #expect(try program.testRun(input: frame).returnValue == Verdict.pass)
    mapped.storeWord(42, element: 7)
    #expect(mapped.loadWord(element: 7) == 42)
    #expect(try program.testRun(input: frame).returnValue == Verdict.drop)
  }

  @Test func rangesAreWrittenInBulk() throws {
    let map = try loadProbe().map("probe_words", key: UInt32.self, value: UInt64.self)
    let mapped = try map.memoryMapped()
    let sum = mapped.withElements(1000..<2000) { elements in
      for index in elements.indices { elements[index] = UInt64(index) }
      return elements[999]
    }
    #expect(sum == 999)
    #expect(try map.lookup(999..<2001) == [0] + (0..<1000) + [0])
  }

  @Test func oddValuesLieAtMultiplesOfEight() throws {
    let map = try loadProbe().map("probe_odds", key: UInt32.self, value: ProbeOdd.self)
    let mapped = try map.memoryMapped()
    mapped[1] = ProbeOdd(1, 2, 3)
    mapped[3] = ProbeOdd(7, 8, 9)
    #expect(try map.lookup(1) == ProbeOdd(1, 2, 3))
    #expect(
      try map.lookup(0..<4) == [0, 1, 0, 7].map { ProbeOdd($0, $0 == 0 ? 0 : $0 + 1, $0 == 0 ? 0 : $0 + 2) })
    mapped.storeWord(0x5_0000_0004, element: 2, byteOffset: 0)
    #expect(mapped[2] == ProbeOdd(4, 5, 0))
  }

  @Test func mappingOutlivesItsMap() throws {
    func take() throws -> MappedArray<UInt64> {
      try loadProbe().map("probe_words", key: UInt32.self, value: UInt64.self).memoryMapped()
    }
    let mapped = try take()
    mapped[0] = 1
    #expect(mapped[0] == 1)
  }

  @Test func onlyArraysMadeForItAreMapped() throws {
    let hash = try loadProbe().map("probe_hash", key: UInt32.self, value: ProbeValue.self)
    #expect(failure { _ = try hash.memoryMapped() }?.operation == .memoryMap)
  }
}
