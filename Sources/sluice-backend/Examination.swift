// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import Netlink

/// The checks of `doctor`, in the order of a packet's path.
struct Examination {
  private let interface: String
  private let ports: [DoctorPort]
  private let link: Link
  private let addresses: [(address: IPAddress, prefixLength: Int)]
  private let loopback: Set<IPAddress>
  private let hostAddresses: Set<IPAddress>
  private let record: HostRecord?
  private let decapsulation: Decapsulation?
  private let lists: AddressLists

  init(_ options: InterfaceOptions, ports: [DoctorPort]) throws {
    interface = options.interface
    self.ports = ports
    var host = try Host()
    link = try host.interface(options.interface)
    addresses = try host.addresses(link)
    loopback = try host.loopbackAddresses()
    hostAddresses = try host.addresses()
    record = try HostRecord.read(options.record)
    decapsulation = try Decapsulation.pinned(in: options.pins(record))
    lists = try decapsulation?.lists() ?? AddressLists(tunnelAddresses: [], vips: [], sources: [])
  }

  func checks() throws -> [Check] {
    var checks = [isUp, maximumPacket, try isAttached]
    checks += [reversePath] + silence + [ownAddresses] + tunnelPorts
    checks += try traffic
    for vip in lists.vips {
      checks.append(isOnLoopback(vip))
      checks += listeners(vip)
    }
    return checks
  }

  private var isUp: Check {
    Check(
      "\(interface) link", observed: link.isRunning ? "running" : link.isUp ? "no carrier" : "down",
      expected: "running", unless: .fail, link.isRunning, fix: "ip link set dev \(interface) up")
  }

  /// A client's packet of 1500 octets arrives with an outer header.
  private var maximumPacket: Check {
    let family = lists.tunnelAddresses.contains { $0.family == .v6 } ? AddressFamily.v6 : .v4
    let overhead = lists.formats.overhead(for: family)
    return Check(
      "\(interface) MTU", observed: "\(link.mtu)",
      expected: "\(1500 + overhead) or more; below, the balancers ask clients for smaller packets",
      unless: .warn,
      link.mtu >= 1500 + overhead, fix: "ip link set dev \(interface) mtu \(1500 + overhead)")
  }

  private var isAttached: Check {
    get throws {
      let fix = "sluice-backend up --interface \(interface) --vip ADDRESS --allow PREFIX"
      guard let record, let decapsulation else {
        return Check(
          "decapsulation", observed: "not set up on \(interface)", expected: "attached", unless: .fail, false,
          fix: fix)
      }
      let isAttached = try decapsulation.isAttached(interfaceIndex: link.index, mode: record.mode)
      return Check(
        "decapsulation",
        observed: "\(isAttached ? "attached" : "pinned, but NOT attached") (\(record.mode.rawValue))",
        expected: "attached", unless: .fail, isAttached, fix: fix)
    }
  }

  /// The kernel uses the stricter of the two values. Clients' packets arrive on this interface, whatever the route back
  /// to them.
  private var reversePath: Check {
    let value = effective("rp_filter")
    return Check(
      "rp_filter, effective on \(interface)", observed: "\(value)",
      expected: "0 or 2: with 1, clients whose way back leaves by another interface are dropped",
      unless: .warn,
      value != 1, fix: "sysctl -w net/ipv4/conf/\(interface)/rp_filter=2")
  }

  /// If a VIP belongs to this link's network, only the balancer may answer ARP for it.
  private var silence: [Check] {
    let shared = lists.vips.filter { vip in
      addresses.contains { own in
        vip.family == .v4 && own.address.family == .v4 && own.prefixLength < 32
          && (vip.bits ^ own.address.bits) >> UInt128(32 - own.prefixLength) == 0
      }
    }
    return ARPRestriction.all.map { restriction in
      let (name, wanted) = (restriction.name, restriction.sufficient[0])
      let value = effective(name)
      let need = shared.isEmpty ? "" : "; \(shared.list) on the network of \(interface)"
      return Check(
        "\(name), effective on \(interface)",
        observed: shared.isEmpty ? "\(value), not needed: no VIP on its network" : "\(value)\(need)",
        expected: "\(restriction.list)\(need)", unless: .fail,
        shared.isEmpty || restriction.sufficient.contains(value),
        fix: "sluice-backend up … --shared-link, or: sysctl -w net/ipv4/conf/\(interface)/\(name)=\(wanted)")
    }
  }

  /// This host's addresses that the program does not yet refuse as inner sources.
  private var ownAddresses: Check {
    let known = Set(lists.tunnelAddresses + lists.otherAddresses + lists.vips)
    let missing = hostAddresses.filter(\.isUnicast).subtracting(known).sorted()
    return Check(
      "addresses of this host that packets from the tunnel must not have as source",
      observed: missing.isEmpty ? "all known" : "not known: \(missing.list)", expected: "all known",
      unless: .warn, missing.isEmpty, fix: "sluice-backend up … again, as before")
  }

  private var tunnelPorts: [Check] {
    let ports = lists.formats.guePorts.union(lists.formats.fouPorts)
    guard !ports.isEmpty else { return [] }
    let taken = Set(Listener.all().filter { $0.transport == .udp }.map(\.port))
    let used = taken.intersection(ports).sorted().map(String.init).joined(separator: ", ")
    return [
      Check(
        "UDP ports of the tunnels",
        observed: used.isEmpty ? "no socket of this host has one" : "a socket of this host has port \(used)",
        expected: "none: it gets nothing, because the program takes or drops all packets to these ports",
        unless: .warn, used.isEmpty,
        fix: "find its process with: ss -lunp; or have the balancers use another port")
    ]
  }

  private func effective(_ name: String) -> Int {
    max(Sysctl.ipv4(name, interface: "all").value ?? 0, Sysctl.ipv4(name, interface: interface).value ?? 0)
  }

  private var traffic: [Check] {
    get throws {
      guard let counts = try decapsulation?.verdictCounts() else { return [] }
      func packets(_ verdict: String) -> UInt64 { counts.first { $0.verdict == verdict }?.packets ?? 0 }
      let refused = packets("dropped_source")
      return [
        Check(
          "packets decapsulated", observed: "\(packets("decapsulated"))", expected: "more than none",
          unless: .warn,
          packets("decapsulated") > 0, fix: "see on a balancer whether it sends here: sluice backend list"),
        Check(
          "packets from sources that are not allowed", observed: "\(refused)",
          expected: "none, from balancers or anyone", unless: .warn, refused == 0,
          fix: "if a balancer is missing among '\(lists.sources.map(\.description).joined(separator: ","))', "
            + "add it: sluice-backend up … --allow"),
      ]
    }
  }

  private func isOnLoopback(_ vip: IPAddress) -> Check {
    let isThere = loopback.contains(vip)
    return Check(
      "\(vip) on lo", observed: isThere ? "present" : "missing", expected: "present", unless: .fail, isThere,
      fix: "ip address add \(vip)/\(vip.family.bitWidth) dev lo")
  }

  private func listeners(_ vip: IPAddress) -> [Check] {
    let covering = Listener.all().map { ($0, $0.covers(vip)) }.filter { $0.1 != .no }
    func check(_ subject: String, _ candidates: [(Listener, Listener.Coverage)], _ expected: String) -> Check
    {
      func names(_ listeners: some Sequence<Listener>) -> Set<DoctorPort> {
        Set(listeners.map { DoctorPort(number: $0.port, transport: $0.transport) })
      }
      let sure = names(candidates.filter { $0.1 == .yes }.map(\.0))
      let unsure = names(candidates.map(\.0)).subtracting(sure)
      var observed = sure.sorted().map(\.description)
      observed += unsure.sorted().map { "\($0) on [::], which takes IPv4 only without IPV6_V6ONLY" }
      return Check(
        subject, observed: observed.isEmpty ? "none" : "port " + observed.joined(separator: ", "),
        expected: expected, unless: candidates.isEmpty ? .fail : .warn, !sure.isEmpty,
        fix: "have the server listen on \(vip) or on all addresses: ss -lntu")
    }
    guard !ports.isEmpty else {
      return [check("listeners for \(vip)", covering, "at least one, on \(vip) or on all addresses")]
    }
    return ports.map { port in
      check("listener for \(vip) port \(port)", covering.filter { port.accepts($0.0) }, "one")
    }
  }
}
