// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import Glibc

/// The decapsulation program of an interface, with its maps.
struct Decapsulation {
  let program: BPFProgram
  let tunnelAddresses: BPFMap<host_address, UInt32>
  let vips: BPFMap<host_address, UInt32>
  let sources4: BPFMap<source_prefix4, UInt32>
  let sources6: BPFMap<source_prefix6, UInt32>
  let verdicts: PerCPUMap<UInt32, counter>
  /// nil: it was pinned by a version that takes IPIP alone.
  let tunnelFormats: BPFMap<UInt32, tunnel_formats>?
  let tunnelPorts: BPFMap<UInt32, UInt32>?

  /// Loads the program with empty maps: it decapsulates nothing yet.
  ///
  /// - Parameters:
  ///   - addresses: the number of host addresses that the map must hold.
  ///   - existing: the program uses its maps instead of new ones, as far as they fit.
  static func load(
    _ mode: DecapsulationMode, addresses: Int, mapsOf existing: Decapsulation? = nil
  ) throws(BPFError) -> Decapsulation {
    var object = try BPFObject.open(mode == .tc ? .decapsulate_tc : .decapsulate_xdp)
    if mode != .tc { try object.setAutoload(program: "pass", false) }
    var maps = existing?.maps ?? []
    if let capacity = try existing?.tunnelAddresses.info.maxEntries, capacity >= addresses {
      try object.setMaxEntries(map: "tunnel_addresses", capacity)
    } else {
      try object.setMaxEntries(map: "tunnel_addresses", capacity(for: addresses))
      maps.removeAll { $0.name == "tunnel_addresses" }
    }
    for (name, map) in maps {
      do throws(BPFError) {
        try object.reuse(map: name, map.descriptor)
      } catch  where error.errno == EINVAL && name == "verdicts" {
        // Another version has other verdicts: counting begins at 0.
      }
    }
    let loaded = try object.load()
    return Decapsulation(
      program: try loaded.program(mode.program), tunnelAddresses: try loaded.map("tunnel_addresses"),
      vips: try loaded.map("vips"), sources4: try loaded.map("sources4"),
      sources6: try loaded.map("sources6"),
      verdicts: try loaded.perCPUMap("verdicts"), tunnelFormats: try loaded.map("tunnel_formats"),
      tunnelPorts: try loaded.map("tunnel_ports"))
  }

  /// At least 1,024, and twice what is needed now: a later `up` may find more addresses.
  private static func capacity(for addresses: Int) -> UInt32 { UInt32(max(1024, 2 * addresses)) }

  /// Whether both use the same maps.
  func sharesMaps(with other: Decapsulation) throws(BPFError) -> Bool {
    for its in other.maps {
      guard try hasMap(its) else { return false }
    }
    return true
  }

  private func hasMap(_ other: (name: String, map: any KernelMap)) throws(BPFError) -> Bool {
    guard let mine = maps.first(where: { $0.name == other.name }) else { return false }
    return try mine.map.info.id == other.map.info.id
  }

  private var maps: [(name: String, map: any KernelMap)] {
    let all: [(name: String, map: (any KernelMap)?)] = [
      ("tunnel_addresses", tunnelAddresses), ("vips", vips), ("sources4", sources4), ("sources6", sources6),
      ("verdicts", verdicts), ("tunnel_formats", tunnelFormats), ("tunnel_ports", tunnelPorts),
    ]
    return all.compactMap { entry in entry.map.map { (entry.name, $0) } }
  }
}

// Pins: those of one interface, in a directory with mode 0700.
extension Decapsulation {
  /// The program and maps pinned in a directory, or `nil` if a pin is missing.
  static func pinned(in directory: String) throws(BPFError) -> Decapsulation? {
    do throws(BPFError) {
      return Decapsulation(
        program: try .openPinned(path: "\(directory)/program"),
        tunnelAddresses: try .openPinned(path: "\(directory)/tunnel_addresses"),
        vips: try .openPinned(path: "\(directory)/vips"),
        sources4: try .openPinned(path: "\(directory)/sources4"),
        sources6: try .openPinned(path: "\(directory)/sources6"),
        verdicts: try .openPinned(path: "\(directory)/verdicts"),
        tunnelFormats: try pinnedMap("\(directory)/tunnel_formats"),
        tunnelPorts: try pinnedMap("\(directory)/tunnel_ports"))
    } catch  where error.errno == ENOENT {
      return nil
    }
  }

  /// nil: there is no such pin.
  private static func pinnedMap<Value: BitwiseCopyable>(
    _ path: String
  ) throws(BPFError) -> BPFMap<UInt32, Value>? {
    do throws(BPFError) {
      return try .openPinned(path: path)
    } catch  where error.errno == ENOENT {
      return nil
    }
  }

  func pin(in directory: String) throws {
    try InterfacePins.make(directory)
    for (name, map) in maps { try map.pin(at: "\(directory)/\(name)") }
    try program.pin(at: "\(directory)/program")
  }
}

extension Decapsulation {
  private static let position = TCHook.Position(priority: 50)

  func attach(interfaceIndex: UInt32, mode: DecapsulationMode, pins: String) throws(BPFError) {
    guard let xdp = mode.xdp else {
      let hook = TCHook(interfaceIndex: interfaceIndex)
      try hook.create()
      // Replaces a program whose pin an interrupted `up` removed.
      let isLeftOver = try hook.holds(programNamed: DecapsulationMode.tc.program, at: Self.position)
      return try hook.attach(program, at: Self.position, replacing: isLeftOver)
    }
    try BPFLink.attachXDP(program, interfaceIndex: interfaceIndex, mode: xdp).pin(at: "\(pins)/link")
  }

  /// Whether packets of the interface pass through this program.
  func isAttached(interfaceIndex: UInt32, mode: DecapsulationMode) throws(BPFError) -> Bool {
    let current =
      if mode.xdp == nil {
        try TCHook(interfaceIndex: interfaceIndex).programID(at: Self.position)
      } else {
        try XDPAttachment.current(interfaceIndex: interfaceIndex)?.programID
      }
    return try current == program.info.id
  }

  /// Replaces this program by `newer`, whose maps are filled. Each packet is handled by one of the two.
  func replace(by newer: Decapsulation, interfaceIndex: UInt32, mode: DecapsulationMode, pins: String)
    throws(BPFError)
  {
    if mode.xdp == nil {
      try TCHook(interfaceIndex: interfaceIndex).attach(newer.program, at: Self.position, replacing: true)
    } else {
      try BPFLink.openPinned(path: "\(pins)/link").update(program: newer.program, replacing: program)
    }
    unsafe unlink("\(pins)/program")
    try newer.program.pin(at: "\(pins)/program")
    for its in newer.maps {
      guard try !hasMap(its) else { continue }
      unsafe unlink("\(pins)/\(its.name)")
      try its.map.pin(at: "\(pins)/\(its.name)")
    }
  }

  /// Detaches the decapsulating program from tc, pinned or not. Other programs and the clsact qdisc stay: others may use
  /// the qdisc. XDP needs no such step, because removing the pin ends the attachment.
  /// - Returns: whether there was one.
  @discardableResult static func detachFromTC(interfaceIndex: UInt32) throws(BPFError) -> Bool {
    let hook = TCHook(interfaceIndex: interfaceIndex)
    guard try hook.holds(programNamed: DecapsulationMode.tc.program, at: position) else { return false }
    return try hook.detach(position)
  }
}

extension DecapsulationMode {
  var program: String { self == .tc ? "decapsulate_tc" : "decapsulate_xdp" }

  fileprivate var xdp: XDPMode? {
    switch self {
    case .xdp: .native
    case .generic: .generic
    case .tc: nil
    }
  }
}
