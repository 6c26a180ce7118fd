// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import Glibc

/// The program that lowers the MSS in SYNs and SYN-ACKs from the VIPs, at the egress of an interface. Its pins are beside
/// those of the interface's decapsulation program.
struct MSSClamp {
  private let program: BPFProgram
  private let limits: BPFMap<UInt32, mss_limits>
  private let lowered: PerCPUMap<UInt32, UInt64>

  private static let position = TCHook.Position(priority: 50)
  private static let programName = "clamp_mss"
  static let pinNames = ["mss_program", "mss_limits", "mss_lowered"]

  /// nil: none is pinned.
  static func pinned(in pins: String) throws(BPFError) -> MSSClamp? {
    do throws(BPFError) {
      return MSSClamp(
        program: try .openPinned(path: "\(pins)/mss_program"),
        limits: try .openPinned(path: "\(pins)/mss_limits"),
        lowered: try .openPinned(path: "\(pins)/mss_lowered"))
    } catch  where error.errno == ENOENT {
      return nil
    }
  }

  /// Lowers the MSS from now on, in place of a program that did so before.
  static func attach(
    _ wanted: SegmentLimits, for decapsulation: Decapsulation, interfaceIndex: UInt32, pins: String
  ) throws(BPFError) {
    let existing = try pinned(in: pins)
    var object = try BPFObject.open(.clamp_mss)
    try object.reuse(map: "vips", decapsulation.vips.descriptor)
    if let existing { try object.reuse(map: "mss_lowered", existing.lowered.descriptor) }
    let loaded = try object.load()
    let clamp = MSSClamp(
      program: try loaded.program(programName), limits: try loaded.map("mss_limits"),
      lowered: try loaded.perCPUMap("mss_lowered"))
    try clamp.limits.update(0, to: mss_limits(ipv4: UInt32(wanted.v4), ipv6: UInt32(wanted.v6)))
    let hook = TCHook(interfaceIndex: interfaceIndex, direction: .egress)
    try hook.create()
    try hook.attach(
      clamp.program, at: position, replacing: hook.holds(programNamed: programName, at: position))
    for name in pinNames { unsafe unlink("\(pins)/\(name)") }
    try clamp.lowered.pin(at: "\(pins)/mss_lowered")
    try clamp.limits.pin(at: "\(pins)/mss_limits")
    try clamp.program.pin(at: "\(pins)/mss_program")
  }

  func isAttached(interfaceIndex: UInt32) throws(BPFError) -> Bool {
    try TCHook(interfaceIndex: interfaceIndex, direction: .egress).programID(at: Self.position)
      == program.info.id
  }

  /// Detaches the interface's program, pinned or not, and removes the pins.
  static func detach(interfaceIndex: UInt32, pins: String) throws(BPFError) {
    let hook = TCHook(interfaceIndex: interfaceIndex, direction: .egress)
    if try hook.holds(programNamed: programName, at: position) { try hook.detach(position) }
    for name in pinNames { unsafe unlink("\(pins)/\(name)") }
  }
}

extension MSSClamp {
  /// For `status`.
  struct Report: Encodable {
    let attached: Bool
    let limits: SegmentLimits
    /// SYNs and SYN-ACKs whose MSS was lowered.
    let lowered: UInt64

    var description: String {
      "\(limits.v4) (IPv4), \(limits.v6) (IPv6)\(attached ? "" : ", NOT ATTACHED"); lowered in \(lowered) segments"
    }
  }

  /// - Parameter interfaceIndex: nil: the interface is gone.
  func report(interfaceIndex: UInt32?) throws(BPFError) -> Report {
    let limits = try limits.lookup(0) ?? mss_limits()
    let attached = if let interfaceIndex { try isAttached(interfaceIndex: interfaceIndex) } else { false }
    return Report(
      attached: attached, limits: SegmentLimits(v4: Int(limits.ipv4), v6: Int(limits.ipv6)),
      lowered: (try lowered.lookup(0) ?? []).reduce(0, +))
  }
}
