// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

extension Forwarder {
  /// What the maps hold: what a restarted daemon plans from.
  ///
  /// What another process has damaged is put right or left out; ``repair(_:parts:nextHops:)`` brings the maps to what
  /// this returns.
  /// - Parameters:
  ///   - expected: what the maps should hold by the configuration: it settles what damage leaves open.
  ///   - findings: gets what was not believed, a sentence each.
  public func readInstalled(
    expecting expected: DesiredState = DesiredState(), findings: inout [String]
  ) throws(DataplaneError) -> InstalledState {
    serviceIDs = nil
    leaving = nil
    var reader = InstalledReader(maps, clock, expecting: expected)
    let reading = try reader.read()
    findings += reading.findings
    tables = tableDigest(of: reading.state)
    return reading.state
  }

  public func readInstalled() throws(DataplaneError) -> InstalledState {
    var findings: [String] = []
    return try readInstalled(findings: &findings)
  }

  /// Whether the records of the tables in force are not those that a daemon published last: another process has
  /// written them, or a daemon died between a table and this note of it. What they say of hash and size is no reason
  /// to refuse a start then.
  public func tablesAreDoubtful(_ installed: InstalledState) -> Bool {
    survey.tables != 0 && survey.tables != tableDigest(of: installed)
  }

  /// Never 0.
  func tableDigest(of state: InstalledState) -> UInt64 {
    let tables = state.pools.values.sorted { $0.number < $1.number }
    return tables.reduce(0x7461_626c_6573) { sum, pool in
      let selection: UInt64 = pool.hash == .flow ? 0 : 1
      return layoutSum(
        layoutSum(sum, UInt64(pool.number)), UInt64(pool.slots.count) << 1 | selection)
    } | 1
  }

  /// Writes the digest of the tables in force beside the maps.
  func recordTables(of state: InstalledState) throws(DataplaneError) {
    let digest = tableDigest(of: state)
    guard digest != tables else { return }
    tables = digest
    guard mapSet != nil else { return }
    try inKernel { () throws(BPFError) in
      guard var layout = try maps.layout.lookup(0) else { return }
      layout.tables = digest
      try maps.layout.update(0, to: layout.checked)
    }
  }
}
