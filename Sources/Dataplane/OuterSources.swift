// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// The outer sources of backends: in the path's word for IPv4, in an element of `outer_sources` for IPv6. Backends share
/// elements. An element is written only while no path names it and no packet can still read it.
struct OuterSources {
  private let maps: ForwarderMaps
  /// Elements that paths may name, by their addresses; nil: not known yet.
  private var elements: [IPAddress: Int]?
  private var free: [Int] = []

  init(_ maps: ForwarderMaps) { self.maps = maps }

  /// The path to a backend.
  /// - Parameters:
  ///   - record: the backend's, its path as it is.
  ///   - source: the outer source without entropy; nil: as in the record.
  ///   - gracePeriod: returns when packets that are under way have ended.
  mutating func path(
    of record: backend, source: IPAddress?, mtu: Int, gracePeriod: GracePeriod
  ) throws(BPFError) -> UInt64 {
    let mtu = UInt16(clamping: mtu)
    switch record.family {
    case .v4:
      let source = source.flatMap { $0.family == .v4 ? $0.word4 : nil } ?? path_source(record.path)
      return path4(source, record.address.word4, mtu)
    case .v6:
      guard let source, source.family == .v6, source.bits != 0 else {
        return path6(path_source(record.path), mtu)
      }
      return path6(UInt32(try element(of: source, gracePeriod)), mtu)
    }
  }

  /// The outer source without entropy; nil: the path names none.
  static func source(of record: backend, in maps: ForwarderMaps) -> IPAddress? {
    let source = path_source(record.path)
    guard source != 0 else { return nil }
    guard record.family == .v6 else { return IPAddress(word4: source) }
    return Int(source) < maps.outerSources.count ? address(Int(source), maps) : nil
  }

  private static func address(_ index: Int, _ maps: ForwarderMaps) -> IPAddress {
    IPAddress(
      words6: maps.outerSources.loadWord(element: index),
      maps.outerSources.loadWord(element: index, byteOffset: 8))
  }

  private mutating func element(
    of source: IPAddress, _ gracePeriod: GracePeriod
  ) throws(BPFError) -> Int {
    if elements == nil { try sweep(gracePeriod) }
    // Another process may have written the element.
    if let known = elements?[source], Self.address(known, maps) == source { return known }
    if free.isEmpty { try sweep(gracePeriod) }
    // There are more elements than backends. Without one the backend stays unresolved.
    guard let index = free.popLast() else { return 0 }
    let (high, low) = source.words6
    maps.outerSources.storeWord(high, element: index)
    maps.outerSources.storeWord(low, element: index, byteOffset: 8)
    elements?[source] = index
    return index
  }

  /// Finds the elements that no path names, and waits until no packet reads them.
  private mutating func sweep(_ gracePeriod: GracePeriod) throws(BPFError) {
    var used: Set<Int> = []
    for number in 0..<maps.backends.count {
      let record = maps.backends[number]
      if record.family == .v6 { used.insert(Int(path_source(record.path))) }
    }
    try gracePeriod.wait()
    let indices = 1..<maps.outerSources.count
    free = indices.reversed().filter { !used.contains($0) }
    elements = [:]
    for index in indices where used.contains(index) { elements?[Self.address(index, maps)] = index }
  }
}
