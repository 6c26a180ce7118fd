// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// The maps of a set of layout 3 that are not read as those of the present one. Nothing writes them.
struct Layout3Maps {
  let services4: BPFMap<service_key4, UInt32>
  let services6: BPFMap<service_key6, UInt32>
  let slots: BPFMap<UInt32, UInt64>
  let serviceNames: BPFMap<UInt32, identity>
  let poolNames: BPFMap<UInt32, identity>
  let backendNames: BPFMap<UInt32, identity>
  private let services: BPFMap<UInt32, Layout3.Service>
  private let pools: BPFMap<UInt32, Layout3.Pool>
  private let backends: BPFMap<UInt32, Layout3.Backend>

  init(_ set: MapSet) throws(BPFError) {
    services4 = try set.openMap("services4")
    services6 = try set.openMap("services6")
    services = try set.openMap("services")
    pools = try set.openMap("pools")
    backends = try set.openMap("backends")
    slots = try set.openMap("slots")
    serviceNames = try set.openMap("service_names")
    poolNames = try set.openMap("pool_names")
    backendNames = try set.openMap("backend_names")
  }

  func allServices() throws(BPFError) -> [Layout3.Service] { try all(services) }
  func allPools() throws(BPFError) -> [Layout3.Pool] { try all(pools) }
  func allBackends() throws(BPFError) -> [Layout3.Backend] { try all(backends) }
  func allSlots() throws(BPFError) -> [UInt64] { try all(slots) }

  private func all<Value>(_ map: BPFMap<UInt32, Value>) throws(BPFError) -> [Value] {
    try map.lookup(0..<map.info.maxEntries)
  }

  /// What each limit must be at least, for the highest numbers in use.
  func needed() throws(BPFError) -> NodeSettings.Limits {
    let records = try allServices()
    let numbers = try (services4.entries().map(\.value) + services6.entries().map(\.value)).map { Int($0) }
    let used = numbers.filter { $0 > 0 && $0 < records.count }
    let tables = try allPools().map(\.record.table)
    func last<Value>(_ values: [Value], _ isUsed: (Value) -> Bool) -> Int {
      values.lastIndex(where: isUsed).map { $0 + 1 } ?? 0
    }
    let names = try all(backendNames)
    return NodeSettings.Limits(
      services: used.max() ?? 0, pools: last(tables) { table_size($0) > 0 },
      backends: max(last(names) { $0.name.0 != 0 } - 1, 0),
      slots: tables.filter { table_size($0) > 0 }.map { Int(table_first($0)) + Int(table_size($0)) }.max()
        ?? 0,
      flows: 0,
      pairs: used.map { Int(records[$0].binding >> 32) + Int(records[$0].pairCount) }.max() ?? 0)
  }
}
