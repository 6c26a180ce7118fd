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
      A second `up` replaces the lists by those that it is given, and the program by that of this version, without \
      losing a packet. The settings stay when the command ends, until `down` or a reboot: run `up` at each boot.

      Packets whose inner source is an address of this host are refused. The command reads these addresses when it \
      runs: run it again after they changed. `doctor` warns if they did.

      EXAMPLES
        sluice-backend up --interface eth0 --vip 192.0.2.10,2001:db8::10 --allow 10.0.2.0/24,fd00:2::/64
        sluice-backend up --interface bond0.7 --mode tc --vip 192.0.2.10 --allow 10.0.2.0/24
        sluice-backend up --interface eth0 --vip 10.0.0.9 --allow 10.0.0.4/31 --shared-link
        sluice-backend up --interface eth0 --vip 192.0.2.10 --allow 10.0.2.0/24 --encapsulation gue
        sluice-backend up --interface eth0 --vip 192.0.2.10 --allow 10.0.2.0/24 --encapsulation ipip,fou:7000
        sluice-backend up --interface eth0 --vip 192.0.2.10 --allow 10.0.2.0/24 --mss auto
      """)

  @OptionGroup var options: InterfaceOptions

  @Option(help: ArgumentHelp("Addresses that clients use; put on lo.", valueName: "address,..."))
  var vip: [CommaSeparated<IPAddress>]

  @Option(
    help: ArgumentHelp("The balancers' outer source addresses. Others are refused.", valueName: "prefix,..."))
  var allow: [CommaSeparated<IPPrefix>]

  @Option(
    help: ArgumentHelp(
      "Addresses that the balancers send to. (default: all of the interface)", valueName: "address,..."))
  var tunnelAddress: [CommaSeparated<IPAddress>] = []

  @Option(
    help: ArgumentHelp(
      "The encapsulations of the balancers' pools: ipip, gre, gue (UDP port 6080), fou (UDP ports 5555 and 5556), but not "
        + "l2, which needs none of this; with another port gue:PORT, fou:PORT. Packets in others pass. (default: ipip)",
      valueName: "type,..."))
  var encapsulation: [CommaSeparated<TunnelFormat>] = []

  @Option(help: "xdp: in the driver. tc: any driver, VLAN devices. generic: XDP on any driver, slow.")
  var mode: DecapsulationMode = .xdp

  @Option(
    help: ArgumentHelp(
      "Lower the MSS that clients are told for the VIPs: auto (what fits this interface's MTU with the longest outer "
        + "header of the balancers), or a number of octets. For networks that drop ICMP. (default: leave it)",
      valueName: "auto|octets"))
  var mss: SegmentSize?

  @Flag(help: "The VIPs' network is this interface's: keep this host from answering ARP for them.")
  var sharedLink = false

  func validate() throws {
    for address in vip.merged() + tunnelAddress.merged() where !address.isUnicast {
      throw ValidationError("\(address) is no address that a host can have")
    }
    if let port = formats.ambiguousPorts.first {
      throw ValidationError("--encapsulation: UDP port \(port) cannot carry both gue and fou")
    }
    guard formats.guePorts.count + formats.fouPorts.count <= TunnelFormats.mostPorts else {
      throw ValidationError("--encapsulation: at most \(TunnelFormats.mostPorts) UDP ports")
    }
  }

  private var formats: TunnelFormats {
    encapsulation.isEmpty ? TunnelFormats() : TunnelFormats(encapsulation.flatMap(\.elements))
  }

  func run() throws {
    var host = try Host()
    let link = try host.interface(options.interface)
    var lists = try lists(link, &host)
    try RunDirectory.lock(options.location.runDir)
    var record =
      try HostRecord.read(options.record)
      ?? HostRecord(
        interface: options.interface, mode: mode, pins: options.pins(nil))
    let pins = try checkedPins(&record, link)

    record.sharedLink = sharedLink || record.needsSilence
    try record.write(options.record)
    let decapsulation = try decapsulation(link, pins, lists)
    try decapsulation.value.install(lists)
    if sharedLink { try keepSilent(&record) }
    try bringVIPs(lists.vips, &record, &host)
    // Without the VIPs that an earlier `up` had put on lo.
    lists.otherAddresses = try otherAddresses(lists.tunnelAddresses + lists.vips, &host)
    try decapsulation.value.install(lists)
    if !decapsulation.isAttached {
      try decapsulation.value.attach(interfaceIndex: link.index, mode: mode, pins: pins)
      // Left by an `up` in mode tc whose pins are lost: it would go on by its own lists.
      if mode != .tc { try Decapsulation.detachFromTC(interfaceIndex: link.index) }
    }
    try clamp(decapsulation.value, link, pins, lists)
    print("\(options.interface): decapsulating (\(mode.rawValue)) for \(lists.vips.list)")
  }

  private func clamp(
    _ decapsulation: Decapsulation, _ link: Link, _ pins: String, _ lists: AddressLists
  ) throws(BPFError) {
    guard let mss else {
      try MSSClamp.detach(interfaceIndex: link.index, pins: pins)
      return
    }
    try MSSClamp.attach(
      mss.limits(mtu: Int(link.mtu), lists), for: decapsulation, interfaceIndex: link.index, pins: pins)
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
        "\(options.interface) has no address that a balancer could send to",
        cure: "Give it one, or name those of this host with --tunnel-address")
    }
    return AddressLists(
      tunnelAddresses: tunnelAddresses,
      otherAddresses: try otherAddresses(tunnelAddresses + vips, &host), vips: vips,
      sources: Set(allow.flatMap(\.elements)).sorted(), formats: formats)
  }

  /// This host's other addresses.
  private func otherAddresses(_ known: [IPAddress], _ host: inout Host) throws -> [IPAddress] {
    try host.addresses().filter(\.isUnicast).subtracting(known).sorted()
  }

  /// Throws if the interface is up with another mode or other pins.
  private func checkedPins(_ record: inout HostRecord, _ link: Link) throws -> String {
    let pins = options.pins(record)
    guard record.mode != mode || record.pins != pins else { return pins }
    if let existing = try Decapsulation.pinned(in: record.pins),
      try existing.isAttached(interfaceIndex: link.index, mode: record.mode)
    {
      throw Failure(
        "\(options.interface) decapsulates already, in mode \(record.mode.rawValue) with pins in \(record.pins)",
        cure: "Take it down first: sluice-backend down --interface \(options.interface)")
    }
    // An `up` that could not attach its program left the record.
    InterfacePins.remove(record.pins)
    (record.mode, record.pins) = (mode, pins)
    return pins
  }

  /// The attached program, replaced if it is of another version or its maps are too small; or a new one that is not
  /// attached yet.
  private func decapsulation(
    _ link: Link, _ pins: String, _ lists: AddressLists
  ) throws -> (value: Decapsulation, isAttached: Bool) {
    // While the VIPs change, this host has the old ones and the new ones.
    let addresses = lists.tunnelAddresses.count + lists.otherAddresses.count + lists.vips.count
    if let existing = try Decapsulation.pinned(in: pins),
      try existing.isAttached(interfaceIndex: link.index, mode: mode)
    {
      let current = try Decapsulation.load(mode, addresses: addresses, mapsOf: existing)
      let fits = try current.sharesMaps(with: existing)
      if try fits && current.program.info.tag == existing.program.info.tag { return (existing, true) }
      if !fits { try current.install(lists) }
      try existing.replace(by: current, interfaceIndex: link.index, mode: mode, pins: pins)
      return (current, true)
    }
    // Left by an interrupted `up`, or by an interface that is gone.
    InterfacePins.remove(pins)
    let fresh = try Decapsulation.load(mode, addresses: addresses)
    try fresh.pin(in: pins)
    return (fresh, false)
  }

  /// Stops ARP replies for addresses of other interfaces (the VIPs on `lo`), and ARP requests with them as source.
  private func keepSilent(_ record: inout HostRecord) throws {
    for interface in ["all", options.interface] {
      for restriction in ARPRestriction.all {
        let wanted = restriction.sufficient[0]
        let setting = Sysctl.ipv4(restriction.name, interface: interface)
        guard let before = setting.value, !restriction.sufficient.contains(before) else { continue }
        if !record.changedSettings.contains(where: { $0.setting == setting }) {
          record.changedSettings.append(.init(setting: setting, before: before, after: wanted))
          try record.write(options.record)
        }
        try setting.set(wanted)
      }
    }
  }

  /// Adds the missing VIPs to `lo`, and removes those that an earlier `up` had added and that are no longer wanted.
  private func bringVIPs(_ wanted: [IPAddress], _ record: inout HostRecord, _ host: inout Host) throws {
    let present = try host.loopbackAddresses()
    let missing = wanted.filter { !present.contains($0) }
    record.addedVIPs += missing.map(\.description).filter { !record.addedVIPs.contains($0) }
    try record.write(options.record)
    for address in missing { try host.addToLoopback(address) }

    var others = try OtherInterfaces(besides: options.interface, in: options.location.runDir)
    for text in record.addedVIPs {
      guard let address = IPAddress(text), !wanted.contains(address) else { continue }
      if try !others.takeOver(address) { try host.removeFromLoopback(address) }
      record.addedVIPs.removeAll { $0 == text }
    }
    try record.write(options.record)
  }
}

extension [IPAddress] {
  var list: String { map(\.description).joined(separator: ", ") }
}
