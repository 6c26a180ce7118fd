// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Glibc
internal import LoadBalancing
internal import Netlink

struct Down: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Undo what `up` did: no more, no less.",
    discussion: """
      Does no harm where nothing is up. A VIP that was on lo before `up` stays, and one that another interface still \
      serves stays until that is down, too. A setting that was changed again since then stays as it is now.

      EXAMPLE
        sluice-backend down --interface eth0
      """)

  @OptionGroup var place: Place

  func run() throws {
    var host = try Host()
    try RunDirectory.lock(place.location.runDir)
    let record = try HostRecord.read(place.record)
    var others = try OtherInterfaces(besides: place.interface, in: place.location.runDir)
    // The VIPs first: a client's next packet is better answered by another backend than by a reset.
    for address in (record?.addedVIPs ?? []).compactMap({ IPAddress($0) })
    where try !others.takeOver(address) {
      try host.removeFromLoopback(address)
    }
    let pins = place.pins(record)
    // Where the interface is gone, so is its tc filter.
    if let link = try? host.interface(place.interface), let pinned = try Decapsulation.pinned(in: pins) {
      try pinned.detachFromTC(interfaceIndex: link.index)
    }
    let removed = PinDirectory.remove(pins)
    for change in (record?.changedSettings ?? []).reversed()
    where try change.setting.value == change.after && !others.takeOver(change) {
      try change.setting.set(change.before)
    }
    unsafe unlink(place.record)
    unsafe rmdir(place.location.runDir)
    print("\(place.interface): \(removed || record != nil ? "down" : "nothing was up")")
  }
}
