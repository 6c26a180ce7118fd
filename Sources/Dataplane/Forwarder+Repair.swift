// SPDX-License-Identifier: Apache-2.0
internal import BPF
public import LoadBalancing

/// A part of the maps that is compared with what is installed in one go.
public struct MapPatrol: Sendable {
  /// What is compared.
  public struct Parts: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let backends = Parts(rawValue: 1)
    public static let pools = Parts(rawValue: 2)
    public static let services = Parts(rawValue: 4)
    /// Keys and names of what is not installed.
    public static let strangers = Parts(rawValue: 8)
    public static let all: Parts = [.backends, .pools, .services, .strangers]
  }

  /// Records and slots compared in one go, so that the cost is small and does not grow with the maps.
  static let records = 1024
  static let slots = 262_144

  /// Where the next comparison begins.
  var record = 0
  var slot = 0

  public init() {}
}

/// The maps are brought to what is installed, where another process has written them.
///
/// Each word that differs is stored by itself, so that a packet sees the damaged word or the right one. Maps that hold
/// what they should are only read.
extension Forwarder {
  /// Compares all of the maps, or some parts of them.
  /// - Parameters:
  ///   - installed: what the maps should hold; nothing else may change them meanwhile.
  ///   - nextHops: the way to each backend's address.
  /// - Returns: what was repaired, a sentence each.
  public func repair(
    _ installed: InstalledState, parts: MapPatrol.Parts = .all, nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) -> [String] {
    var repair = MapRepair(self, installed, nextHops)
    let records = max(maps.backends.count, maps.services.count, maps.pools.count)
    try repair.compare(0..<records, slots: 0..<maps.slotWords.count, parts)
    return repair.done
  }

  /// Compares the next part of the maps: called again and again, it comes round all of them.
  public func repairNext(
    _ patrol: inout MapPatrol, _ installed: InstalledState, nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) -> [String] {
    var repair = MapRepair(self, installed, nextHops)
    let count = max(maps.backends.count, maps.services.count, maps.pools.count)
    let records = patrol.record..<min(patrol.record + MapPatrol.records, count)
    let slots = patrol.slot..<min(patrol.slot + MapPatrol.slots, maps.slotWords.count)
    // Keys have no order that one could go through bit by bit: once a round.
    let parts: MapPatrol.Parts = patrol.record == 0 ? .all : [.backends, .pools, .services]
    try repair.compare(records, slots: slots, parts)
    patrol.record = records.upperBound < count ? records.upperBound : 0
    patrol.slot = slots.upperBound < maps.slotWords.count ? slots.upperBound : 0
    return repair.done
  }
}
