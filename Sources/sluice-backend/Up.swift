// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import BPF
internal import Glibc
internal import LoadBalancing
internal import Netlink

struct Up: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Decapsulate on an interface, and give this host the VIPs.",
    discussion: """
      Idempotent: a second `up` brings the lists to what it is given, and the program to this version, without \
      losing a packet. Everything stays as it is when the command ends; `down` undoes it.

      Packets whose inner source is an address of this host are refused. Which addresses these are is read when the \
      command runs: run it again after they changed. `doctor` says when that is due.

      EXAMPLES
        sluice-backend up --interface eth0 --vip 192.0.2.10,2001:db8::10 --allow 10.0.2.0/24,fd00:2::/64
        sluice-backend up --interface bond0.7 --mode tc --vip 192.0.2.10 --allow 10.0.2.0/24
        sluice-backend up --interface eth0 --vip 10.0.0.9 --allow 10.0.0.4/31 --shared-link
      """)

  @OptionGroup var place: Place

  @Option(help: ArgumentHelp("Addresses that clients use; put on lo.", valueName: "address,..."))
  var vip: [CommaSeparated<IPAddress>]

  @Option(
    help: ArgumentHelp("The balancers' outer source addresses. Others are refused.", valueName: "prefix,..."))
  var allow: [CommaSeparated<IPPrefix>]

  @Option(
    help: ArgumentHelp(
      "Addresses that the balancers send to. (default: all of the interface)", valueName: "address,..."))
  var tunnelAddress: [CommaSeparated<IPAddress>] = []

  @Option(help: "xdp: in the driver. tc: any driver, VLAN devices. generic: XDP on any driver, slow.")
  var mode: AttachMode = .xdp

  @Flag(help: "The VIPs' network is this interface's: keep this host from answering ARP for them.")
  var sharedLink = false

  func validate() throws {
    for address in vip.merged() + tunnelAddress.merged() where !address.isUnicast {
      throw ValidationError("\(address) is no address that a host can have")
    }
  }

  func run() throws {
    var host = try Host()
    let link = try host.interface(place.interface)
    var lists = try lists(link, &host)
    try RunDirectory.lock(place.location.runDir)
    var record =
      try HostRecord.read(place.record)
      ?? HostRecord(
        interface: place.interface, mode: mode, pins: place.pins(nil))
    let pins = try checkedPins(record)

    record.sharedLink = sharedLink || record.needsSilence
    try record.write(place.record)
    let decapsulation = try decapsulation(link, pins)
    try decapsulation.value.install(lists)
    if sharedLink { try keepSilent(&record) }
    try bringVIPs(lists.vips, &record, &host)
    // Without the VIPs that an earlier `up` had put on lo.
    lists.otherAddresses = try otherAddresses(lists.tunnelAddresses + lists.vips, &host)
    try decapsulation.value.install(lists)
    if !decapsulation.isAttached {
      try decapsulation.value.attach(interfaceIndex: link.index, mode: mode, pins: pins)
    }
    print("\(place.interface): decapsulating (\(mode.rawValue)) for \(lists.vips.list)")
  }

  private func lists(_ link: Link, _ host: inout Host) throws -> AddressLists {
    let vips = vip.merged()
    var tunnelAddresses = tunnelAddress.merged()
    if let address = tunnelAddresses.first(where: vips.contains) {
      throw Failure(
        "\(address) is given as --vip and as --tunnel-address",
        cure: "The balancers send to an address of this host alone; leave it out of one of the lists")
    }
    if tunnelAddresses.isEmpty {
      tunnelAddresses = try host.addresses(link).map(\.address).filter { !vips.contains($0) }
    }
    guard !tunnelAddresses.isEmpty else {
      throw Failure(
        "\(place.interface) has no address that a balancer could send to",
        cure: "Give it one, or name those of this host with --tunnel-address")
    }
    return AddressLists(
      tunnelAddresses: tunnelAddresses,
      otherAddresses: try otherAddresses(tunnelAddresses + vips, &host), vips: vips,
      sources: Set(allow.flatMap(\.elements)).sorted())
  }

  /// This host's addresses but these.
  private func otherAddresses(_ known: [IPAddress], _ host: inout Host) throws -> [IPAddress] {
    try host.addresses().filter(\.isUnicast).subtracting(known).sorted()
  }

  /// What is there must be what this `up` would make.
  private func checkedPins(_ record: HostRecord) throws(Failure) -> String {
    let pins = place.pins(record)
    guard record.mode == mode, record.pins == pins else {
      throw Failure(
        "\(place.interface) decapsulates already, in mode \(record.mode.rawValue) with pins in \(record.pins)",
        cure: "Take it down first: sluice-backend down --interface \(place.interface)")
    }
    return pins
  }

  /// The program that is there, brought to this version, or a new one that is not attached yet.
  private func decapsulation(_ link: Link, _ pins: String) throws -> (value: Decapsulation, isAttached: Bool)
  {
    if let existing = try Decapsulation.pinned(in: pins),
      try existing.isAttached(interfaceIndex: link.index, mode: mode)
    {
      let current = try Decapsulation.load(mode, mapsOf: existing)
      if try current.program.info.tag != existing.program.info.tag {
        try existing.replace(by: current, interfaceIndex: link.index, mode: mode, pins: pins)
      }
      return (existing, true)
    }
    // Remains of an `up` that was interrupted, or of an interface that is gone.
    PinDirectory.remove(pins)
    let fresh = try Decapsulation.load(mode)
    try fresh.pin(in: pins)
    return (fresh, false)
  }

  /// No ARP answers for addresses of other interfaces (the VIPs on `lo`), no ARP questions in their name.
  private func keepSilent(_ record: inout HostRecord) throws {
    for interface in ["all", place.interface] {
      for (name, wanted) in [("arp_ignore", 1), ("arp_announce", 2)] {
        let setting = Sysctl.ipv4(name, interface: interface)
        guard let before = setting.value, before != wanted else { continue }
        if !record.changedSettings.contains(where: { $0.setting == setting }) {
          record.changedSettings.append(.init(setting: setting, before: before, after: wanted))
          try record.write(place.record)
        }
        try setting.set(wanted)
      }
    }
  }

  /// Puts on `lo` what is missing there, and takes away what an earlier `up` had put there and is not wanted now.
  private func bringVIPs(_ wanted: [IPAddress], _ record: inout HostRecord, _ host: inout Host) throws {
    let present = try host.loopbackAddresses()
    let missing = wanted.filter { !present.contains($0) }
    record.addedVIPs += missing.map(\.description).filter { !record.addedVIPs.contains($0) }
    try record.write(place.record)
    for address in missing { try host.addToLoopback(address) }

    var others = try OtherInterfaces(besides: place.interface, in: place.location.runDir)
    for text in record.addedVIPs {
      guard let address = IPAddress(text), !wanted.contains(address) else { continue }
      if try !others.takeOver(address) { try host.removeFromLoopback(address) }
      record.addedVIPs.removeAll { $0 == text }
    }
    try record.write(place.record)
  }
}

extension [IPAddress] {
  var list: String { map(\.description).joined(separator: ", ") }
}
