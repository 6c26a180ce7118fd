// SPDX-License-Identifier: Apache-2.0
internal import BPF
public import LoadBalancing

/// The position of the patrol, which compares the maps with the installed state part by part.
public struct MapPatrol: Sendable {
  /// What is compared.
  public struct Parts: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let backends = Parts(rawValue: 1)
    public static let pools = Parts(rawValue: 2)
    public static let services = Parts(rawValue: 4)
    /// Keys and names of objects that are not installed.
    public static let unknownEntries = Parts(rawValue: 8)
    public static let all: Parts = [.backends, .pools, .services, .unknownEntries]
  }

  /// Records and slots that one step compares, so that its cost does not grow with the maps.
  static let records = 1024
  static let slots = 262_144

  /// Where the next comparison begins.
  var record = 0
  var slot = 0

  public init() {}
}

/// Repairs maps that another process has written: makes them agree with the installed state.
///
/// Each word that differs is stored on its own, so that a packet sees the damaged word or the correct one. Maps without
/// damage are only read.
extension Forwarder {
  /// Compares all of the maps, or some parts of them.
  /// - Parameters:
  ///   - installed: what the maps should hold; nothing else may change them meanwhile.
  ///   - nextHops: the next hop of each backend's address.
  /// - Returns: what was repaired, a sentence each.
  public func repair(
    _ installed: InstalledState, parts: MapPatrol.Parts = .all, nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) -> [String] {
    var repair = MapRepair(self, installed, nextHops)
    let records = max(maps.backends.count, maps.services.count, maps.pools.count)
    try repair.compare(0..<records, slots: 0..<maps.slotWords.count, parts)
    return repair.done
  }

  /// Compares the next part of the maps, and begins again after the last one.
  public func repairNext(
    _ patrol: inout MapPatrol, _ installed: InstalledState, nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) -> [String] {
    var repair = MapRepair(self, installed, nextHops)
    let count = max(maps.backends.count, maps.services.count, maps.pools.count)
    let records = patrol.record..<min(patrol.record + MapPatrol.records, count)
    let slots = patrol.slot..<min(patrol.slot + MapPatrol.slots, maps.slotWords.count)
    // Keys have no order that allows comparing a part of them: all, once a round.
    let parts: MapPatrol.Parts = patrol.record == 0 ? .all : [.backends, .pools, .services]
    try repair.compare(records, slots: slots, parts)
    patrol.record = records.upperBound < count ? records.upperBound : 0
    patrol.slot = slots.upperBound < maps.slotWords.count ? slots.upperBound : 0
    return repair.done
  }
}
