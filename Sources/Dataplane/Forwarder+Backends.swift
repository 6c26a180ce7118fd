// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

/// The next hop towards a backend, as the kernel's routes and neighbours know it.
public struct NextHopState: Hashable, Sendable {
  /// The uplink that leads to it.
  public var uplink: UplinkIndex
  /// nil while the neighbour has not answered.
  public var mac: HardwareAddress?
  /// Whether ``mac`` is the backend's own, and not a router's.
  public var isOnLink: Bool
  /// The largest packet that the path takes, outer header included, in octets.
  public var mtu: Int
  /// The interface's address towards the backend: the outer source where none is configured.
  public var sourceAddress: IPAddress?

  public init(
    uplink: UplinkIndex = .first, mac: HardwareAddress?, isOnLink: Bool = false, mtu: Int,
    sourceAddress: IPAddress? = nil
  ) {
    self.uplink = uplink
    self.mac = mac
    self.isOnLink = isOnLink
    self.mtu = mtu
    self.sourceAddress = sourceAddress
  }
}

/// Records of backends. While a table names a backend, its record changes by single stores of `path` and `next_hop`.
extension Forwarder {
  func write(
    _ installed: InstalledState.Backend, pool: Int, _ nextHop: NextHopState?
  ) throws(DataplaneError) {
    let index = Int(installed.number)
    // A released number keeps its last generation, so that old flow entries never match.
    var record = backend(installed, generation: maps.backends[index].generation &+ 1, pool: pool)
    record.path = try path(of: record, installed, nextHop)
    record.next_hop = record.nextHop(nextHop, path: record.path)
    try inKernel { () throws(BPFError) in try maps.lastUnknown.update(installed.number, to: 0) }
    // Flow entries of an earlier owner may still name the number. They are ignored once the generation is another one,
    // and nothing is sent by the record until its next hop, which comes last, says that it is usable.
    let nextHop = record.next_hop
    record.next_hop = 0
    maps.backends[index] = record
    maps.backends.storeWord(nextHop, element: index, byteOffset: Self.nextHopOffset)
    generations[installed.number] = record.generation
    FaultPoint.beforeBackendName.pass()
    // A number without a name belongs to no backend, also for a daemon that finds a record half written.
    try writeName(of: installed)
  }

  /// The path to a backend: its configured source, else the interface's.
  private func path(
    of record: backend, _ installed: InstalledState.Backend, _ nextHop: NextHopState?
  ) throws(DataplaneError) -> UInt64 {
    let configured = installed.encapsulation.source(installed.address.family)?.address
    return try inKernel { () throws(BPFError) in
      try outerSources.path(
        of: record, source: configured ?? nextHop?.sourceAddress, mtu: nextHop?.mtu ?? 1500,
        gracePeriod: gracePeriod)
    }
  }

  func writeName(of backend: InstalledState.Backend) throws(DataplaneError) {
    try inKernel { () throws(BPFError) in
      try maps.backendNames.update(backend.number, to: identity("\(backend.pool)/\(backend.name)"))
    }
  }

  func release(_ number: BackendNumber) throws(DataplaneError) {
    setFlag(BACKEND_LEAVING, of: number, false)
    try inKernel { () throws(BPFError) in try maps.backendNames.update(number, to: identity("")) }
  }

  func setFlag(_ flag: UInt64, of number: BackendNumber, _ isSet: Bool) {
    let word = maps.backends.loadWord(element: Int(number), byteOffset: Self.nextHopOffset)
    let changed = isSet ? word | flag : word & ~flag
    if changed != word {
      maps.backends.storeWord(changed, element: Int(number), byteOffset: Self.nextHopOffset)
      FaultPoint.afterBackendFlag.pass()
    }
  }

  func setLeaving(_ result: InstalledState) {
    let wanted = result.index.leaving
    let concerned = leaving.map(wanted.symmetricDifference) ?? Set(result.backends.keys)
    for number in concerned where result.backends[number] != nil {
      setFlag(BACKEND_LEAVING, of: number, wanted.contains(number))
    }
    leaving = wanted
  }

  /// Gives packets the next hop of a backend, from the next packet on.
  ///
  /// The outer source, its checksum and the MTU change by one store, the link-layer address by another: a packet
  /// between the two has the new source and the former next hop, and each header is whole. A packet's outer source
  /// follows the interface's address where none is configured.
  public func setNextHop(_ nextHop: NextHopState, of number: BackendNumber) {
    let old = maps.backends[Int(number)]
    let source = old.isOfInterface ? nextHop.sourceAddress : OuterSources.source(of: old, in: maps)
    // If the kernel refuses to wait for readers, the path stays as it was.
    let new = try? outerSources.path(of: old, source: source, mtu: nextHop.mtu, gracePeriod: gracePeriod)
    let path = new ?? old.path
    store(path, old.nextHop(nextHop, path: path), over: old, at: Int(number))
  }

  /// Stores what changes of a record: the path before a next hop that is resolved, after one that is not.
  func store(_ path: UInt64, _ nextHop: UInt64, over old: backend, at index: Int) {
    func storePath() {
      guard path != old.path else { return }
      maps.backends.storeWord(path, element: index, byteOffset: Self.pathOffset)
      FaultPoint.afterPath.pass()
    }
    func storeNextHop() {
      guard nextHop != old.next_hop else { return }
      maps.backends.storeWord(nextHop, element: index, byteOffset: Self.nextHopOffset)
      FaultPoint.afterNextHop.pass()
    }
    if nextHop & UInt64(NEXT_HOP_RESOLVED) != 0 {
      storePath()
      storeNextHop()
    } else {
      storeNextHop()
      storePath()
    }
  }

  static var nextHopOffset: Int { MemoryLayout<backend>.offset(of: \.next_hop)! }
  static var pathOffset: Int { MemoryLayout<backend>.offset(of: \.path)! }
}
