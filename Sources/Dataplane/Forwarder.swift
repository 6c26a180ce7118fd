// SPDX-License-Identifier: Apache-2.0
public import BPF
internal import CForwardingABI
public import LoadBalancing

/// The data plane as the daemon holds it: the loaded program and its maps, pinned so that they outlive the daemon.
/// Not thread-safe: its owner is the one writer.
public final class Forwarder {
  /// Whether the maps were there before.
  public enum Origin: Equatable, Sendable {
    /// The pinned maps of an earlier daemon.
    case adopted
    /// New maps, and why.
    case created(reason: String)
  }

  public let origin: Origin
  /// Whether the verifier left out its speculation barriers (CAP_PERFMON was there).
  public let isFullSpeed: Bool
  public private(set) var attachment: Attachment?

  let maps: ForwarderMaps
  let clock = PacketClock()
  /// The loaded program; for test runs, it is attached by ``attach(interfaceIndex:mode:)``.
  public let program: BPFProgram
  private let object: LoadedObject
  private let clockProgram: BPFProgram
  private let pins: PinDirectory
  let limits: NodeSettings.Limits
  let keys: HashKeys
  private let seedDigest: UInt64

  /// Loads the program. Pinned maps of the same layout and limits are taken over with all they hold; else new ones
  /// are made, which replace the old ones only in ``attach(interfaceIndex:mode:)``.
  public init(_ settings: NodeSettings, isFullSpeed: Bool) throws(DataplaneError) {
    let pins = try PinDirectory(settings.pinDirectory)
    let keys = HashKeys(seed: settings.hashSeed)
    let obstacle = Self.obstacle(settings.limits, pins)
    let object = try inKernel { () throws(BPFError) in
      var object = try Self.open(settings.limits, keys, PacketClock())
      if obstacle == nil { try Self.reuseMaps(of: &object, settings.limits, pins) }
      return try object.load()
    }
    self.pins = pins
    origin = obstacle.map { .created(reason: $0) } ?? .adopted
    self.isFullSpeed = isFullSpeed
    limits = settings.limits
    seedDigest = keys.digest
    self.keys = keys
    maps = try inKernel { () throws(BPFError) in try ForwarderMaps(object) }
    program = try inKernel { () throws(BPFError) in try object.program("forwarder") }
    clockProgram = try inKernel { () throws(BPFError) in try object.program("read_clock") }
    self.object = object
  }

  /// Why the pinned maps cannot be taken over; nil where they can.
  private static func obstacle(_ limits: NodeSettings.Limits, _ pins: PinDirectory) -> String? {
    guard pins.exists(pins.pin(of: "layout")) else { return "no maps are pinned in \(pins.path)" }
    do throws(BPFError) {
      let layout = try BPFMap<UInt32, layout>.openPinned(path: pins.pin(of: "layout")).lookup(0)
      guard layout?.version == UInt32(FORWARDING_ABI_VERSION) else {
        return
          "the pinned maps have layout \(layout?.version ?? 0), this version has \(FORWARDING_ABI_VERSION)"
      }
      var trial = try open(limits, HashKeys(seed: ""), PacketClock())
      try reuseMaps(of: &trial, limits, pins)
      return nil
    } catch {
      return "the pinned maps do not fit: \(error)"
    }
  }

  private static func reuseMaps(
    of object: inout BPFObject, _ limits: NodeSettings.Limits, _ pins: PinDirectory
  ) throws(BPFError) {
    for map in ForwarderMaps.pinned(limits) {
      try object.reuse(map: map.name, pinnedAt: pins.pin(of: map.name))
    }
  }

  private static func open(
    _ limits: NodeSettings.Limits, _ keys: HashKeys, _ clock: PacketClock
  ) throws(BPFError) -> BPFObject {
    var object = try BPFObject.open(ForwarderObject.embedded)
    var constants = forwarder_constants()
    unsafe withUnsafeMutableBytes(of: &constants.hash_keys) { bytes in
      unsafe keys.keys.withUnsafeBytes { unsafe bytes.copyMemory(from: $0) }
    }
    constants.tick_shift = clock.shift
    constants.answers_per_tick = 1000
    let share = limits.flows / (try possibleCPUCount())
    constants.new_per_tick = UInt32(max(share / 64, 64))
    constants.learned_per_tick = UInt32(max(share / 128, 64))
    try object.freeze(section: ".rodata.constants", as: constants)
    for map in ForwarderMaps.pinned(limits) { try object.setMaxEntries(map: map.name, UInt32(map.entries)) }
    return object
  }

  /// Seconds of the packet path's tick.
  public var tickLength: Double { clock.tickLength }

  /// The packet path's time.
  public func now() throws(DataplaneError) -> Tick {
    try inKernel { () throws(BPFError) in try PacketClock.now(clockProgram) }
  }

  /// Lets the program see packets: in the place of an earlier one, or anew. New maps become the pinned ones.
  public func attach(interfaceIndex: UInt32, mode: AttachMode) throws(DataplaneError) {
    attachment = try Attachment.bring(program, to: interfaceIndex, wanted: mode, pins: pins)
    if case .created = origin { try pinMaps() }
    try inKernel { () throws(BPFError) in
      try maps.layout.update(
        0, to: layout(version: UInt32(FORWARDING_ABI_VERSION), zero: 0, seed_digest: seedDigest))
    }
  }

  private func pinMaps() throws(DataplaneError) {
    let names = ForwarderMaps.pinned(limits).map(\.name)
    for name in names.reversed() { pins.remove(pins.pin(of: name)) }
    try inKernel { () throws(BPFError) in
      for name in names { try object.pin(map: name, at: pins.pin(of: name)) }
    }
  }

  /// Takes the program off the interface and removes every pin: forwarding ends.
  public func detach() throws(DataplaneError) {
    if let attachment { try inKernel { () throws(BPFError) in try attachment.link.detach() } }
    attachment = nil
    pins.removeAll(maps: ForwarderMaps.pinned(limits).map(\.name))
  }

  /// Whether the tables were filled under another seed: then every flow's slot is another one now.
  public func seedChanged() throws(DataplaneError) -> Bool {
    let layout = try inKernel { () throws(BPFError) in try maps.layout.lookup(0) }
    return layout.map { $0.version != 0 && $0.seed_digest != seedDigest } ?? false
  }

  /// Frames to this address are looked at; all others pass. Six octets, in transmission order.
  public func setInterfaceAddress(_ mac: [UInt8]) {
    maps.interface.storeWord(macWord(mac), element: 0)
  }
}

/// Six octets as the program compares them: the first one lowest.
func macWord(_ mac: [UInt8]) -> UInt64 { mac.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
