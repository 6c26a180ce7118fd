// SPDX-License-Identifier: Apache-2.0
public import BPF
internal import CForwardingABI
internal import Glibc
public import LoadBalancing

/// The data plane as the daemon holds it: the loaded program and its maps, pinned so that they outlive the daemon.
/// Not thread-safe: its owner is the one writer.
public final class Forwarder {
  /// Whether the maps were there before.
  public enum Origin: Equatable, Sendable {
    /// The pinned maps of an earlier daemon.
    case adopted
    /// The state of an earlier daemon, migrated to new maps; `reason` says why.
    case carriedOver(reason: String)
    /// New maps, and why.
    case created(reason: String)
  }

  public let origin: Origin
  /// Whether the verifier left out its speculation barriers (CAP_PERFMON was there).
  public let isFullSpeed: Bool
  /// The program on the interfaces of the uplinks.
  var attachments: [UplinkIndex: Attachment] = [:]
  public var attachment: Attachment? { attachments[.first] }

  let maps: ForwarderMaps
  let clock = PacketClock()
  /// The loaded program. Public for test runs only.
  public let program: BPFProgram
  private let uplinks: MappedArray<CForwardingABI.uplink>
  let vipPolicy: MappedArray<vip_policy>
  let vipFilter: MappedArray<UInt64>
  let carryOver: MappedArray<carry_over>
  let object: LoadedObject
  let clockProgram: BPFProgram
  let sumProgram: BPFProgram
  let gracePeriod: GracePeriod
  let pins: PinDirectory
  let survey: Survey
  /// Where the maps are pinned; nil while they are not.
  var mapSet: MapSet?
  let limits: NodeSettings.Limits
  let keys: HashKeys
  /// Generations of the backends' numbers, as this process knows them.
  var generations: [BackendNumber: UInt32] = [:]
  /// Backends whose records have the flag of those that leave; nil: not known.
  var leaving: Set<BackendNumber>?
  var serviceBuckets: ServiceBuckets
  var outerSources: OuterSources
  /// The ids of services; nil: not known, they are read from the maps when they are needed.
  var serviceIDs: ServiceIDs?
  /// Over the number, size and hash of every table in force.
  var tables: UInt64 = 0

  /// Loads the program. Pinned maps in force that have the right sizes are reused with all they hold. The others are
  /// made anew. Nothing that is pinned or attached changes before ``takeOver()`` and `attach`.
  /// - Parameters:
  ///   - code: the compiled program; another one than the binary's own is for measuring variants of it.
  ///   - budgets: those that the flow table's size asks for, if nil.
  ///   - answersPerTick: answers of each kind that a CPU may give in a tick, also to one network; the usual limits, if
  ///     nil.
  public init(
    _ settings: NodeSettings, isFullSpeed: Bool, code: EmbeddedObject = ForwarderObject.embedded,
    budgets: InsertBudgets? = nil, answersPerTick: UInt32? = nil
  ) throws(DataplaneError) {
    let pins = try PinDirectory(settings.pinDirectory)
    let survey = Survey(pins)
    let keys = HashKeys(seed: settings.hashSeed)
    let obstacle = survey.obstacle ?? survey.set.flatMap { Self.obstacle($0, survey.version) }
    var unfit: [String] = []
    let object = try inKernel { () throws(BPFError) in
      var object = try Self.open(code, settings.limits, keys, PacketClock(), budgets, answersPerTick)
      try Self.choose(isFullSpeed, in: &object)
      if obstacle == nil, let set = survey.set {
        unfit = try Self.takeMaps(of: set, survey.version, into: &object, settings.limits)
      }
      return try object.load()
    }
    self.pins = pins
    self.survey = survey
    if let obstacle {
      origin = .created(reason: obstacle)
    } else if survey.version == Layout3.version {
      origin = .carriedOver(reason: "the maps in force have layout \(Layout3.version)")
    } else if unfit.isEmpty {
      origin = .adopted
      mapSet = survey.set
    } else {
      origin = .carriedOver(reason: "limits changed the sizes of \(unfit.joined(separator: ", "))")
    }
    self.isFullSpeed = isFullSpeed
    limits = settings.limits
    self.keys = keys
    let maps = try inKernel { () throws(BPFError) in try ForwarderMaps(object) }
    self.maps = maps
    serviceBuckets = ServiceBuckets(maps)
    outerSources = OuterSources(maps)
    uplinks = try inKernel { () throws(BPFError) in
      try object.map(".data.uplink", key: UInt32.self).memoryMapped()
    }
    vipPolicy = try inKernel { () throws(BPFError) in
      try object.map(".data.vip_policy", key: UInt32.self).memoryMapped()
    }
    vipFilter = try inKernel { () throws(BPFError) in
      try object.map("vip_filter", key: UInt32.self).memoryMapped()
    }
    carryOver = try inKernel { () throws(BPFError) in
      try object.map(".data.carry_over", key: UInt32.self).memoryMapped()
    }
    program = try inKernel { () throws(BPFError) in try object.program(Self.programName(isFullSpeed)) }
    clockProgram = try inKernel { () throws(BPFError) in try object.program("read_clock") }
    sumProgram = try inKernel { () throws(BPFError) in try object.program("sum_slots") }
    self.object = object
    gracePeriod = try inKernel { () throws(BPFError) in try GracePeriod() }
  }

  /// Why the set's maps cannot be read; nil where they can.
  private static func obstacle(_ set: MapSet, _ version: UInt32) -> String? {
    do throws(BPFError) {
      guard version != Layout3.version else {
        _ = try Layout3Maps(set)
        return nil
      }
      return try ForwarderMaps(set).misplaced().map { "the pin \(set.pin(of: $0)) leads to another map" }
    } catch {
      return "the pinned maps cannot be read: \(error)"
    }
  }

  /// Has the object reuse the maps of the set that have the right sizes.
  ///
  /// A map that holds nothing to be taken over may be missing: a new one takes its place, and ``restorePins()`` pins
  /// it.
  /// - Returns: the names of the maps that do not fit. New ones are made of these and of `layout`. If `flows` is among
  ///   them, the program looks into the set's flow table, too (`flows_before`).
  private static func takeMaps(
    of set: MapSet, _ version: UInt32, into object: inout BPFObject, _ limits: NodeSettings.Limits
  ) throws(BPFError) -> [String] {
    var unfit: [String] = []
    let isFormer = version == Layout3.version
    for map in ForwarderMaps.pinned(limits) where map.name != "layout" {
      if isFormer, !Layout3.shared.contains(map.name) {
        unfit.append(map.name)
        continue
      }
      do throws(BPFError) {
        try object.reuse(map: map.name, pinnedAt: set.pin(of: map.name))
      } catch  where ForwarderMaps.ofProgramOnly.contains(map.name) && error.errno != EINVAL {
        continue
      } catch  where error.errno == EINVAL {
        unfit.append(map.name)
      }
    }
    if unfit.isEmpty { try object.reuse(map: "layout", pinnedAt: set.pin(of: "layout")) }
    if unfit.contains("flows") {
      let flows = try BPFMap<flow_key, flow>.openPinned(path: set.pin(of: "flows"))
      try object.setMaxEntries(map: "flows_before", try flows.info.maxEntries)
      try object.reuse(map: "flows_before", flows.descriptor)
    }
    return unfit
  }

  private static func open(
    _ code: EmbeddedObject, _ limits: NodeSettings.Limits, _ keys: HashKeys, _ clock: PacketClock,
    _ budgets: InsertBudgets?, _ answersPerTick: UInt32?
  ) throws(BPFError) -> BPFObject {
    var object = try BPFObject.open(code)
    var constants = forwarder_constants(hashKeys: keys.keys)
    constants.tick_shift = clock.shift
    constants.answers_per_tick = answersPerTick ?? 1000
    constants.answers_per_network = answersPerTick ?? 125
    let share = InsertBudgets.share(of: limits.flows, cpus: onlineCPUCount())
    let budgets = budgets ?? share
    constants.new_per_tick = budgets.new
    constants.learned_per_tick = budgets.learned
    try object.freeze(section: ".rodata.constants", as: constants)
    for map in ForwarderMaps.pinned(limits) { try object.setMaxEntries(map: map.name, UInt32(map.entries)) }
    return object
  }

  /// The program for a process with CAP_PERFMON, and the one for a process without: the verifier refuses some
  /// arithmetic of the first without that capability.
  private static func programName(_ isFullSpeed: Bool) -> String {
    isFullSpeed ? "forwarder" : "forwarder_restricted"
  }

  private static func choose(_ isFullSpeed: Bool, in object: inout BPFObject) throws(BPFError) {
    for name in [programName(true), programName(false)] {
      try object.setAutoload(program: name, name == programName(isFullSpeed))
    }
  }

  /// Returns when every packet that was under way has left the program.
  func waitForReaders() throws(DataplaneError) {
    try inKernel { () throws(BPFError) in try gracePeriod.wait() }
    serviceBuckets.readersAreGone()
    serviceIDs?.readersAreGone()
  }

  /// Seconds of the packet path's tick.
  public var tickLength: Double { clock.tickLength }

  /// The packet path's time.
  public func now() throws(DataplaneError) -> Tick {
    try inKernel { () throws(BPFError) in try PacketClock.now(clockProgram) }
  }

  /// Where the pinned link holds a program.
  public enum PinnedAttachment: Equatable, Sendable {
    /// There is no link, or its interface is gone.
    case none
    /// An interface of this network namespace, by its index.
    case here(UInt32)
    /// An interface of another network namespace; the index is that namespace's.
    case elsewhere(UInt32)

    /// The index in this network namespace.
    public var interfaceIndex: UInt32? { if case .here(let index) = self { index } else { nil } }
  }

  /// Where an earlier daemon's program is attached. Reads only.
  public static func pinnedAttachment(_ settings: NodeSettings) -> PinnedAttachment {
    guard let pins = try? PinDirectory(settings.pinDirectory), let link = pins.openLink(of: .first),
      let info = try? link.info, info.interfaceIndex != 0
    else { return .none }
    return info.isHere ? .here(info.interfaceIndex) : .elsewhere(info.interfaceIndex)
  }

  /// Whether the tables were filled under another seed: then every flow's slot is another one now.
  public func seedChanged() -> Bool {
    if case .created = origin { return false }
    return survey.seedDigest != 0 && survey.seedDigest != keys.digest
  }

  /// Frames to this address are looked at; all others pass.
  public func setInterfaceAddress(_ mac: HardwareAddress, of uplink: UplinkIndex = .first) {
    let offset = uplink.value * MemoryLayout<CForwardingABI.uplink>.stride
    uplinks.storeWord(mac.abi, element: 0, byteOffset: offset)
  }
}

extension HardwareAddress {
  /// As the program compares it: the first octet on the wire lowest.
  var abi: UInt64 { bits.byteSwapped >> 16 }
}
