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
    /// The state of an earlier daemon, in maps of other sizes, and which.
    case carriedOver(reason: String)
    /// New maps, and why.
    case created(reason: String)
  }

  public let origin: Origin
  /// Whether the verifier left out its speculation barriers (CAP_PERFMON was there).
  public let isFullSpeed: Bool
  public internal(set) var attachment: Attachment?

  let maps: ForwarderMaps
  let clock = PacketClock()
  /// The loaded program; for test runs, it is attached by ``attach(interfaceIndex:mode:)``.
  public let program: BPFProgram
  let interface: MappedArray<interface_state>
  let vipPolicy: MappedArray<vip_policy>
  let vipFilter: MappedArray<UInt64>
  let carryOver: MappedArray<carry_over>
  let object: LoadedObject
  private let clockProgram: BPFProgram
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
  /// Over the number, size and hash of every table in force.
  var tables: UInt64 = 0

  /// Loads the program. Of the pinned maps in force those that have the sizes wanted are taken over with all they
  /// hold; in place of the others new ones are made. Nothing that is pinned or attached changes before ``takeOver()``
  /// and ``attach(interfaceIndex:mode:)``.
  /// - Parameters:
  ///   - code: the compiled program; another one than the binary's own is for measuring variants of it.
  ///   - budgets: those that the flow table's size asks for, if nil.
  public init(
    _ settings: NodeSettings, isFullSpeed: Bool, code: EmbeddedObject = ForwarderObject.embedded,
    budgets: InsertBudgets? = nil
  ) throws(DataplaneError) {
    let pins = try PinDirectory(settings.pinDirectory)
    let survey = Survey(pins)
    let keys = HashKeys(seed: settings.hashSeed)
    let obstacle = survey.obstacle ?? survey.set.flatMap(Self.obstacle)
    var unfit: [String] = []
    let object = try inKernel { () throws(BPFError) in
      var object = try Self.open(code, settings.limits, keys, PacketClock(), budgets)
      if obstacle == nil, let set = survey.set {
        unfit = try Self.takeMaps(of: set, into: &object, settings.limits)
      }
      return try object.load()
    }
    self.pins = pins
    self.survey = survey
    if let obstacle {
      origin = .created(reason: obstacle)
    } else if unfit.isEmpty {
      origin = .adopted
      mapSet = survey.set
    } else {
      origin = .carriedOver(reason: "limits changed the sizes of \(unfit.joined(separator: ", "))")
    }
    self.isFullSpeed = isFullSpeed
    limits = settings.limits
    self.keys = keys
    maps = try inKernel { () throws(BPFError) in try ForwarderMaps(object) }
    interface = try inKernel { () throws(BPFError) in
      try object.map(".data.interface", key: UInt32.self).memoryMapped()
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
    program = try inKernel { () throws(BPFError) in try object.program("forwarder") }
    clockProgram = try inKernel { () throws(BPFError) in try object.program("read_clock") }
    sumProgram = try inKernel { () throws(BPFError) in try object.program("sum_slots") }
    self.object = object
    gracePeriod = try inKernel { () throws(BPFError) in try GracePeriod() }
  }

  /// Why the set's maps cannot be read; nil where they can.
  private static func obstacle(_ set: MapSet) -> String? {
    do throws(BPFError) {
      return try ForwarderMaps(set).misplaced().map { "the pin \(set.pin(of: $0)) leads to another map" }
    } catch {
      return "the pinned maps cannot be read: \(error)"
    }
  }

  /// Gives the object all maps of the set if they have the sizes it wants. Else the names of those that have not are
  /// returned; they and `layout` will be new, and the flows of the set are where the program looks before. A map that
  /// holds nothing to be taken over may be missing: a new one takes its place, and ``restorePins()`` pins it.
  private static func takeMaps(
    of set: MapSet, into object: inout BPFObject, _ limits: NodeSettings.Limits
  ) throws(BPFError) -> [String] {
    var unfit: [String] = []
    for map in ForwarderMaps.pinned(limits) where map.name != "layout" {
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
    _ budgets: InsertBudgets?
  ) throws(BPFError) -> BPFObject {
    var object = try BPFObject.open(code)
    var constants = forwarder_constants(hashKeys: keys.keys)
    constants.tick_shift = clock.shift
    constants.answers_per_tick = 1000
    constants.answers_per_network = 125
    let share = InsertBudgets.share(of: limits.flows, cpus: try possibleCPUCount())
    let budgets = budgets ?? share
    constants.new_per_tick = budgets.new
    constants.learned_per_tick = budgets.learned
    try object.freeze(section: ".rodata.constants", as: constants)
    for map in ForwarderMaps.pinned(limits) { try object.setMaxEntries(map: map.name, UInt32(map.entries)) }
    return object
  }

  /// Returns when every packet that was under way has left the program.
  func waitForReaders() throws(DataplaneError) {
    try inKernel { () throws(BPFError) in try gracePeriod.wait() }
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
    guard let pins = try? PinDirectory(settings.pinDirectory), let link = pins.openLink(),
      let info = try? link.info, info.interfaceIndex != 0
    else { return .none }
    return info.isHere ? .here(info.interfaceIndex) : .elsewhere(info.interfaceIndex)
  }

  /// Whether the tables were filled under another seed: then every flow's slot is another one now.
  public func seedChanged() -> Bool {
    if case .created = origin { return false }
    return survey.seedDigest != 0 && survey.seedDigest != keys.digest
  }

  /// Frames to this address are looked at; all others pass. Six octets, in transmission order.
  public func setInterfaceAddress(_ mac: [UInt8]) {
    interface.storeWord(macWord(mac), element: 0)
  }
}

/// Six octets as the program compares them: the first one lowest.
func macWord(_ mac: [UInt8]) -> UInt64 { mac.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
