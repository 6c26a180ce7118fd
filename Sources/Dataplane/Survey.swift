// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI

/// The pinned maps of an earlier daemon, and which of them are in force. Read only.
struct Survey: Equatable {
  /// The attached program; nil where no link is pinned, or the link's interface has gone.
  let program: UInt32?
  /// The set whose maps the attached program uses; without a link, the newest whole one.
  let set: MapSet?
  /// All other sets: begun and never in force, or replaced and not removed.
  let others: [MapSet]
  /// The layout of ``set``.
  let version: UInt32
  /// Number of the set whose flows and counters have still to be copied to ``set``; 0: none.
  let before: Int
  let seedDigest: UInt64
  /// The digest in ``layout`` of the tables in force; 0: none.
  let tables: UInt64
  /// Whether the layout of ``set`` is damaged.
  private let isDamaged: Bool
  /// The first version of the layout with the present flow hash.
  private static let presentHashVersion: UInt32 = 3

  init(_ pins: PinDirectory) {
    let sets = pins.sets()
    let layouts = sets.compactMap { set in Self.layout(of: set).map { (set: set, layout: $0) } }
    let program = Self.attachedProgram(pins)
    let found =
      if let program { layouts.last { $0.layout.names(program) } } else { layouts.last }
    self.program = program
    set = found?.set
    others = sets.filter { $0 != found?.set }
    version = found?.layout.version ?? 0
    before = Int(found?.layout.before ?? 0)
    isDamaged = found?.layout.isDamaged ?? false
    tables = found?.layout.tables ?? 0
    seedDigest = found?.layout.seed_digest ?? 0
  }

  /// A link whose interface is gone runs no program and cannot be updated. A set that was migrated while it was pinned
  /// names only the new program.
  private static func attachedProgram(_ pins: PinDirectory) -> UInt32? {
    let links = UplinkIndex.all.compactMap { try? pins.openLink(of: $0)?.info }
    return links.first { $0.interfaceIndex != 0 }?.programID
  }

  private static func layout(of set: MapSet) -> layout? {
    let map = try? BPFMap<UInt32, layout>.openPinned(path: set.pin(of: "layout"))
    guard let map, let layout = try? map.lookup(0), layout.version != 0 else { return nil }
    return layout
  }

  /// Why the maps cannot be taken over; nil if they can.
  var obstacle: String? {
    if set != nil {
      guard version == UInt32(FORWARDING_ABI_VERSION) || version == Layout3.version else {
        let layouts =
          "the maps in force have layout \(version), this version has \(FORWARDING_ABI_VERSION)"
        return version < Self.presentHashVersion
          ? "\(layouts), and another flow hash: almost every established connection gets another backend"
          : layouts
      }
      return isDamaged ? "the layout of the maps in force is damaged" : nil
    }
    if program != nil { return "the maps that the attached program uses are of another version, or gone" }
    return others.isEmpty ? "none are pinned" : "no whole set of maps is pinned"
  }
}

extension layout {
  func names(_ program: UInt32) -> Bool { programs.0 == UInt64(program) || programs.1 == UInt64(program) }
}
