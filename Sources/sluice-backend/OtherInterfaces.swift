// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import LoadBalancing

/// The interfaces of this host that are up, except one. When that one goes down, the VIPs on `lo` and the host-wide
/// settings that the others need stay; they are recorded for another interface, so that the last `down` reverts them.
struct OtherInterfaces {
  private var records: [HostRecord]
  private let directory: String

  init(besides interface: String, in directory: String) throws {
    records = try RunDirectory.records(in: directory).filter { $0.interface != interface }
    self.directory = directory
  }

  /// Records the VIP for another interface that serves it. Returns false if there is none.
  mutating func takeOver(_ vip: IPAddress) throws -> Bool {
    let text = vip.description
    if records.contains(where: { $0.addedVIPs.contains(text) }) { return true }
    guard let successor = try records.firstIndex(where: { try Self.serves($0, vip) }) else { return false }
    records[successor].addedVIPs.append(text)
    try records[successor].write(in: directory)
    return true
  }

  /// Records a host-wide setting for another interface that needs it. Returns false if there is none.
  mutating func takeOver(_ change: HostRecord.ChangedSetting) throws -> Bool {
    guard change.setting.isOfWholeHost else { return false }
    if records.contains(where: { $0.changedSettings.contains { $0.setting == change.setting } }) {
      return true
    }
    guard let successor = records.firstIndex(where: \.needsSilence) else { return false }
    records[successor].changedSettings.append(change)
    try records[successor].write(in: directory)
    return true
  }

  /// From its program's lists. An interface whose pins are gone serves no VIP.
  private static func serves(_ record: HostRecord, _ vip: IPAddress) throws(BPFError) -> Bool {
    try Decapsulation.pinned(in: record.pins)?.lists().vips.contains(vip) ?? false
  }
}
