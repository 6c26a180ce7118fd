// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import Glibc
public import LoadBalancing

/// How program and maps replace an earlier daemon's, and outlive this one. If the daemon dies at any point, the set in
/// force is the old or the new one, and both hold the same state.
extension Forwarder {
  /// Takes over the maps that an earlier daemon left. Completes an interrupted migration, removes sets that were never
  /// in force and, if limits changed, migrates all state to maps of the new sizes and updates the link to the program.
  /// Set the address of the link's interface first. Afterwards the maps are those in force, if there were any.
  /// - Parameter expected: as ``readInstalled(expecting:)``.
  /// - Returns: what was done, in sentences for the log.
  /// - Throws: also if a limit is below the number in use. Forwarding then continues unchanged.
  public func takeOver(expecting expected: DesiredState = DesiredState()) throws(DataplaneError) -> [String] {
    guard Survey(pins) == survey else {
      throw .pins(path: pins.path, reason: "changed while the daemon started; start it again")
    }
    guard let found = survey.set, !isNew else { return [] }
    var done: [String] = []
    // A damaged number must not lead to the set in force itself.
    let before = survey.others.first { $0.number == survey.before }
    for other in survey.others where other != before {
      other.remove()
      done.append("removed \(other.path), which was not in force")
    }
    if let before {
      done.append(try endCarryOver(to: found, from: before))
    } else if survey.before != 0 {
      done.append("the maps before \(found.path) are gone: flows on changed slots may break")
    }
    if mapSet == nil { done.append(try carryOver(from: found, expected)) }
    return done
  }

  /// Whether an earlier daemon's program is attached, and its maps cannot be read: they are of another version, or
  /// gone.
  public var replacesUnreadable: Bool { isNew && survey.program != nil }

  private var isNew: Bool { if case .created = origin { true } else { false } }

  /// Fills the new maps from those of a set, pins them, swaps the program, and ends the old set.
  private func carryOver(from old: MapSet, _ expected: DesiredState) throws(DataplaneError) -> String {
    _ = try carriedState(from: old, expected)
    let set = try pins.newSet()
    do throws(DataplaneError) {
      try admitInstalledVIPs()
      FaultPoint.beforePins.pass()
      carryOver.storeWord(1, element: 0)
      try pin(as: set, before: old.number, seedDigest: survey.seedDigest)
      FaultPoint.beforeLink.pass()
      try replaceAttachedProgram()
      FaultPoint.afterLink.pass()
    } catch {
      set.remove()
      throw error
    }
    mapSet = set
    let outcome = try endCarryOver(to: set, from: old)
    carryOver.storeWord(0, element: 0)
    return outcome
  }

  /// Fills the new maps, which no packet sees yet, with what the daemon wrote into a set.
  private func carriedState(
    from old: MapSet, _ expected: DesiredState
  ) throws(DataplaneError) -> CarryOver {
    let former = try inKernel { () throws(BPFError) in try FormerMaps(old) }
    var carrying = CarryOver(old: former, new: maps)
    if survey.version == Layout3.version {
      let oldMaps = try inKernel { () throws(BPFError) in try Layout3Maps(old) }
      try carrying.checkLimits(limits, of: oldMaps)
      try inKernel { () throws(BPFError) in try carrying.convertState(of: oldMaps) }
      var reader = InstalledReader(maps, clock, expecting: expected)
      carrying.installed = try reader.read().state
      try carrying.checkLimits(limits)
    } else {
      let oldMaps = try inKernel { () throws(BPFError) in try ForwarderMaps(old) }
      var reader = InstalledReader(oldMaps, clock, expecting: expected)
      carrying.installed = try reader.read().state
      try carrying.checkLimits(limits)
      try inKernel { () throws(BPFError) in try carrying.copyState(of: oldMaps) }
    }
    return carrying
  }

  /// Updates the pinned links to this program. Without an attachment the new set is in force anyway, as the newest
  /// whole one.
  private func replaceAttachedProgram() throws(DataplaneError) {
    guard survey.program != nil else { return }
    try inKernel { () throws(BPFError) in
      for uplink in UplinkIndex.all {
        guard let link = pins.openLink(of: uplink) else { continue }
        if try link.info.interfaceIndex != 0 { try link.update(program: program) }
      }
    }
  }

  /// Copies flow entries and counters from a set that is no longer in force, and removes it.
  private func endCarryOver(to new: MapSet, from old: MapSet) throws(DataplaneError) -> String {
    var outcome = "the rest of \(old.path) is gone: flows on changed slots may break"
    if pinExists(old.pin(of: "layout")) {
      do throws(BPFError) {
        let result = try CarryOver(old: FormerMaps(old), new: ForwarderMaps(new)).finish(after: gracePeriod)
        outcome = "carried \(old.path) over into \(new.path) with \(result.flows) flow entries"
        if result.withoutRoom > 0 { outcome += "; no room for \(result.withoutRoom)" }
      } catch  where error.errno == EINVAL || error.errno == ENOENT {
        // Another process has replaced its pins.
        outcome = "\(old.path) cannot be read, flows on changed slots may break: \(error)"
      } catch {
        throw .kernel(error)
      }
    }
    try inKernel { () throws(BPFError) in
      let map: BPFMap<UInt32, layout> = try new.openMap("layout")
      guard var layout = try map.lookup(0) else { return }
      layout.before = 0
      try map.update(0, to: layout.checked)
    }
    FaultPoint.beforeRemoval.pass()
    old.remove()
    return outcome
  }

  /// Attaches the program: updates the pinned link, or makes a new one. Pins new maps.
  /// - Parameter keepsGeneric: where `mode` is `auto`, whether generic mode stays as it is; otherwise native mode is
  ///   tried again, and packets pass to the stack for some milliseconds.
  /// - Throws: also where the mode is refused. An interface that had our program has this one then, in the former mode.
  public func attach(
    interfaceIndex: UInt32, of uplink: UplinkIndex = .first, mode: AttachMode, keepsGeneric: Bool = false
  ) throws(DataplaneError) {
    try admitInstalledVIPs()
    if let set = mapSet {
      try announce(in: set)
      attachments[uplink] = try .bring(
        program, to: interfaceIndex, of: uplink, wanted: mode, keepsGeneric: keepsGeneric, pins: pins)
      FaultPoint.afterLink.pass()
    } else {
      let set = try pins.newSet()
      do throws(DataplaneError) {
        FaultPoint.beforePins.pass()
        try pin(as: set, before: 0, seedDigest: keys.digest)
        FaultPoint.beforeLink.pass()
        attachments[uplink] = try .bring(
          program, to: interfaceIndex, of: uplink, wanted: mode, keepsGeneric: keepsGeneric, pins: pins)
        FaultPoint.afterLink.pass()
      } catch {
        set.remove()
        throw error
      }
      mapSet = set
      for other in pins.sets() where other != set { other.remove() }
      pins.removeMapsOutsideSets(named: mapNames)
    }
    let id = try programID()
    try inKernel { () throws(BPFError) in
      try maps.layout.update(
        0, to: layout(seedDigest: keys.digest, programs: (id, 0), tables: tables).checked)
    }
    // Only now: what is attached in the former mode has to be found by the next start, too.
    if let refusal = attachments[uplink]?.refusal { throw refusal }
  }

  /// Names the program as the one about to use the set, beside the one that uses it now.
  private func announce(in set: MapSet) throws(DataplaneError) {
    let id = try programID()
    try inKernel { () throws(BPFError) in
      guard var layout = try maps.layout.lookup(0) else { return }
      let inForce = UInt64((try? pins.openLink(of: .first)?.info.programID) ?? 0)
      layout.programs = (inForce, inForce == id ? 0 : id)
      try maps.layout.update(0, to: layout.checked)
    }
  }

  private func pin(as set: MapSet, before: Int, seedDigest: UInt64) throws(DataplaneError) {
    let id = try programID()
    try inKernel { () throws(BPFError) in
      try maps.layout.update(
        0, to: layout(before: before, seedDigest: seedDigest, programs: (id, 0), tables: tables).checked)
      for name in mapNames { try object.pin(map: name, at: set.pin(of: name)) }
    }
  }

  private func programID() throws(DataplaneError) -> UInt64 {
    UInt64(try inKernel { () throws(BPFError) in try program.info.id })
  }

  private var mapNames: [String] { ForwarderMaps.pinned(limits).map(\.name) }

  /// Restores pins that another process removed. Without them forwarding would end with the daemon.
  /// - Returns: whether any were missing.
  public func restorePins() throws(DataplaneError) -> Bool {
    guard let set = mapSet, !attachments.isEmpty else { return false }
    let missing = mapNames.filter { !pinExists(set.pin(of: $0)) }
    let unpinned = attachments.values.filter { !pinExists(pins.link(of: $0.uplink)) }
    guard !unpinned.isEmpty || !missing.isEmpty else { return false }
    try pins.make()
    try set.make()
    try inKernel { () throws(BPFError) in
      for name in missing { try object.pin(map: name, at: set.pin(of: name)) }
      for attachment in unpinned { try attachment.link.pin(at: pins.link(of: attachment.uplink)) }
    }
    return true
  }

  /// Takes the program off the interface and removes every pin: forwarding ends. The maps stay in this process, and
  /// ``attach(interfaceIndex:mode:)`` brings forwarding back with what they hold.
  public func detach() throws(DataplaneError) {
    for attachment in attachments.values {
      try inKernel { () throws(BPFError) in try attachment.link.detach() }
    }
    attachments = [:]
    mapSet = nil
    pins.removePins()
  }

  /// What ``detachPinned(in:)`` removed.
  public struct Detached: Sendable {
    /// Where the program was attached.
    public var attachment: PinnedAttachment
    /// Sets of maps that were removed.
    public var sets: Int
  }

  /// Ends the forwarding that a daemon left: detaches the program that the pinned link holds, and removes every pin.
  ///
  /// The caller holds the directory's ``PinLock``. Needs no loaded program and no map of a layout that this version
  /// can read.
  public static func detachPinned(in settings: NodeSettings) throws(DataplaneError) -> Detached {
    let pins = try PinDirectory(settings.pinDirectory)
    let done = Detached(attachment: pinnedAttachment(settings), sets: pins.sets().count)
    for uplink in UplinkIndex.all {
      if let link = pins.openLink(of: uplink) { try inKernel { () throws(BPFError) in try link.detach() } }
    }
    pins.removeMapsOutsideSets(named: ForwarderMaps.pinned(settings.limits).map(\.name))
    pins.removeAll()
    return done
  }
}

/// Adds a word to the checksum of a layout. The rule is the same in every version of the layout.
func layoutSum(_ sum: UInt64, _ word: UInt64) -> UInt64 { (sum ^ word) &* 0x9e37_79b9_7f4a_7c15 }

extension layout {
  init(before: Int = 0, seedDigest: UInt64, programs: (UInt64, UInt64), tables: UInt64) {
    self.init()
    version = UInt32(FORWARDING_ABI_VERSION)
    self.before = UInt32(before)
    seed_digest = seedDigest
    self.programs = programs
    self.tables = tables
  }

  /// The layout with a check sum that fits its words.
  var checked: layout {
    var checked = self
    checked.check = sum
    return checked
  }

  /// Whether the words and their check sum contradict each other.
  var isDamaged: Bool { check != 0 && check != sum }

  private var sum: UInt64 {
    let words = stride(from: 0, to: MemoryLayout<layout>.offset(of: \.check)!, by: 8)
    // Never 0, which means that there is none.
    return words.reduce(0x736c_7569_6365) { layoutSum($0, word(of: self, at: $1)) } | 1
  }
}
