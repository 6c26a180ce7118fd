// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import LoadBalancing

/// The interfaces of this host that are up, besides one. VIPs on `lo` and settings of the whole host that they need stay
/// when that one goes down: they are handed over, so that the last `down` undoes them.
struct OtherInterfaces {
  private var records: [HostRecord]
  private let directory: String

  init(besides interface: String, in directory: String) throws {
    records = try RunDirectory.records(in: directory).filter { $0.interface != interface }
    self.directory = directory
  }

  /// Makes another interface that serves the VIP responsible for it. False where there is none.
  mutating func takeOver(_ vip: IPAddress) throws -> Bool {
    let text = vip.description
    if records.contains(where: { $0.addedVIPs.contains(text) }) { return true }
    guard let heir = try records.firstIndex(where: { try Self.serves($0, vip) }) else { return false }
    records[heir].addedVIPs.append(text)
    try records[heir].write(in: directory)
    return true
  }

  /// Makes another interface that needs a setting of the whole host responsible for it. False where there is none.
  mutating func takeOver(_ change: HostRecord.ChangedSetting) throws -> Bool {
    guard change.setting.isOfWholeHost else { return false }
    if records.contains(where: { $0.changedSettings.contains { $0.setting == change.setting } }) {
      return true
    }
    guard let heir = records.firstIndex(where: \.needsSilence) else { return false }
    records[heir].changedSettings.append(change)
    try records[heir].write(in: directory)
    return true
  }

  /// By the lists that its program has. An interface whose pins are gone serves nothing.
  private static func serves(_ record: HostRecord, _ vip: IPAddress) throws(BPFError) -> Bool {
    try Decapsulation.pinned(in: record.pins)?.lists().vips.contains(vip) ?? false
  }
}
