// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Glibc
internal import LoadBalancing
internal import Netlink

struct Down: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Undo exactly what `up` did.",
    discussion: """
      Has no effect if nothing is up. A VIP that was on lo before `up` stays, and one that another interface still \
      serves stays until that is down, too. A setting that was changed again since then stays as it is now.

      EXAMPLE
        sluice-backend down --interface eth0
      """)

  @OptionGroup var options: InterfaceOptions

  func run() throws {
    var host = try Host()
    try RunDirectory.lock(options.location.runDir)
    let record = try HostRecord.read(options.record)
    let pins = options.pins(record)
    if let record, record.pins != pins {
      throw Failure(
        "the pins of \(options.interface) are in \(record.pins), not in \(pins)", cure: "Leave out --pin-dir")
    }
    var others = try OtherInterfaces(besides: options.interface, in: options.location.runDir)
    // The VIPs first, so that this host does not answer clients with resets.
    for address in (record?.addedVIPs ?? []).compactMap({ IPAddress($0) })
    where try !others.takeOver(address) {
      try host.removeFromLoopback(address)
    }
    // If the interface is gone, its tc filter is gone too.
    var wasInTC = false
    if let link = try? host.interface(options.interface) {
      wasInTC = try Decapsulation.detachFromTC(interfaceIndex: link.index)
      try MSSClamp.detach(interfaceIndex: link.index, pins: pins)
    }
    let removed = InterfacePins.remove(pins) || wasInTC
    for change in (record?.changedSettings ?? []).reversed()
    where try change.setting.value == change.after && !others.takeOver(change) {
      try change.setting.set(change.before)
    }
    unsafe unlink(options.record)
    unsafe rmdir(options.location.runDir)
    print("\(options.interface): \(removed || record != nil ? "down" : "nothing was up")")
  }
}
