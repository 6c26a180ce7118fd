// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import Testing

@testable import Dataplane

@Suite("Stores of a service's record")
struct ServiceStoresTests {
  private static let runs = [0..<16, 16..<32, 32..<64, 64..<128]

  @Test(
    "after each of them the counters are within those that the service had, or those that it gets",
    arguments: runs, runs)
  func counters(from: Range<Int>, to: Range<Int>) {
    var (old, new) = (service(), service())
    old.binding = 1 | UInt64(from.lowerBound) << 32
    old.before = old.binding
    old.pair_count = UInt32(from.count)
    new.binding = 2 | UInt64(to.lowerBound) << 32
    new.before = old.binding
    new.affinity = .AFFINITY_MOVED
    new.moved = 77
    new.pair_count = UInt32(to.count)
    new.pair_count_before = old.pair_count

    var record = old
    for (offset, word) in new.stores(over: old) {
      withUnsafeMutableBytes(of: &record) { $0.storeBytes(of: word, toByteOffset: offset, as: UInt64.self) }
      let first = Int(record.binding >> 32)
      let counters = first..<(first + Int(record.pair_count))
      let isNew = record.binding == new.binding
      #expect(counters.clamped(to: isNew ? to : from) == counters)
      #expect(counters.count >= 16, "no fewer than either run has")
      guard isNew else { continue }
      // What packets read beside the binding is there before it.
      var whole = record
      whole.pair_count = new.pair_count
      #expect(octets(of: whole) == octets(of: new))
    }
    #expect(octets(of: record) == octets(of: new))
  }
}
