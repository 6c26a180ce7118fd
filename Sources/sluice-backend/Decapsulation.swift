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

  /// Brings program and maps into the kernel. The maps are empty: nothing is decapsulated yet.
  ///
  /// - Parameter existing: whose maps the program is to use in place of new ones.
  static func load(_ mode: AttachMode, mapsOf existing: Decapsulation? = nil) throws(BPFError)
    -> Decapsulation
  {
    var object = try BPFObject.open(.decapsulate)
    for program in Self.programs where program != mode.program {
      try object.setAutoload(program: program, false)
    }
    for (name, map) in existing?.maps ?? [] {
      do throws(BPFError) {
        try object.reuse(map: name, map.descriptor)
      } catch  where error.errno == EINVAL && name == "verdicts" {
        // Another version has other verdicts: they are counted anew.
      }
    }
    let loaded = try object.load()
    return Decapsulation(
      program: try loaded.program(mode.program), tunnelAddresses: try loaded.map("tunnel_addresses"),
      vips: try loaded.map("vips"), sources4: try loaded.map("sources4"),
      sources6: try loaded.map("sources6"),
      verdicts: try loaded.perCPUMap("verdicts"))
  }

  static let programs = ["decapsulate_xdp", "decapsulate_tc", "pass"]

  private var maps: [(name: String, map: any KernelMap)] {
    [
      ("tunnel_addresses", tunnelAddresses), ("vips", vips), ("sources4", sources4), ("sources6", sources6),
      ("verdicts", verdicts),
    ]
  }
}

// Pins: everything of one interface in a directory that only its owner may enter.
extension Decapsulation {
  /// What is pinned in a directory, or `nil` where not everything is.
  static func pinned(in directory: String) throws(BPFError) -> Decapsulation? {
    do throws(BPFError) {
      return Decapsulation(
        program: try .openPinned(path: "\(directory)/program"),
        tunnelAddresses: try .openPinned(path: "\(directory)/tunnel_addresses"),
        vips: try .openPinned(path: "\(directory)/vips"),
        sources4: try .openPinned(path: "\(directory)/sources4"),
        sources6: try .openPinned(path: "\(directory)/sources6"),
        verdicts: try .openPinned(path: "\(directory)/verdicts"))
    } catch  where error.errno == ENOENT {
      return nil
    }
  }

  func pin(in directory: String) throws {
    try PinDirectory.make(directory)
    for (name, map) in maps { try map.pin(at: "\(directory)/\(name)") }
    try program.pin(at: "\(directory)/program")
  }
}

extension Decapsulation {
  private static let place = TCHook.Place(priority: 50)

  func attach(interfaceIndex: UInt32, mode: AttachMode, pins: String) throws(BPFError) {
    guard let xdp = mode.xdp else {
      let hook = TCHook(interfaceIndex: interfaceIndex)
      try hook.create()
      return try hook.attach(program, at: Self.place)
    }
    try BPFLink.attachXDP(program, interfaceIndex: interfaceIndex, mode: xdp).pin(at: "\(pins)/link")
  }

  /// Whether packets of the interface pass through this program.
  func isAttached(interfaceIndex: UInt32, mode: AttachMode) throws(BPFError) -> Bool {
    let current =
      if mode.xdp == nil {
        try TCHook(interfaceIndex: interfaceIndex).programID(at: Self.place)
      } else {
        try XDPAttachment.current(interfaceIndex: interfaceIndex)?.programID
      }
    return try current == program.info.id
  }

  /// Puts `newer` in the place of this program; every packet meets one of the two.
  func replace(by newer: Decapsulation, interfaceIndex: UInt32, mode: AttachMode, pins: String)
    throws(BPFError)
  {
    if mode.xdp == nil {
      try TCHook(interfaceIndex: interfaceIndex).attach(newer.program, at: Self.place, replacing: true)
    } else {
      try BPFLink.openPinned(path: "\(pins)/link").update(program: newer.program, replacing: program)
    }
    unsafe unlink("\(pins)/program")
    try newer.program.pin(at: "\(pins)/program")
    guard try newer.verdicts.info.id != verdicts.info.id else { return }
    unsafe unlink("\(pins)/verdicts")
    try newer.verdicts.pin(at: "\(pins)/verdicts")
  }

  /// Takes the program away from tc, if it is this one; other programs and the clsact qdisc stay, since the
  /// qdisc may serve others by now. XDP needs no such step: the attachment goes with its pin.
  func detachFromTC(interfaceIndex: UInt32) throws(BPFError) {
    guard try isAttached(interfaceIndex: interfaceIndex, mode: .tc) else { return }
    try TCHook(interfaceIndex: interfaceIndex).detach(Self.place)
  }
}

extension AttachMode {
  fileprivate var program: String { self == .tc ? "decapsulate_tc" : "decapsulate_xdp" }

  fileprivate var xdp: XDPMode? {
    switch self {
    case .xdp: .native
    case .generic: .generic
    case .tc: nil
    }
  }
}
