// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import Netlink

/// What `doctor` looks at, in the order in which a packet meets it.
struct Examination {
  private let interface: String
  private let ports: [UInt16]
  private let link: Link
  private let addresses: [(address: IPAddress, prefixLength: Int)]
  private let loopback: Set<IPAddress>
  private let hostAddresses: Set<IPAddress>
  private let record: HostRecord?
  private let decapsulation: Decapsulation?
  private let lists: AddressLists

  init(_ place: Place, ports: [UInt16]) throws {
    interface = place.interface
    self.ports = ports
    var host = try Host()
    link = try host.interface(place.interface)
    addresses = try host.addresses(link)
    loopback = try host.loopbackAddresses()
    hostAddresses = try host.addresses()
    record = try HostRecord.read(place.record)
    decapsulation = try Decapsulation.pinned(in: place.pins(record))
    lists = try decapsulation?.lists() ?? AddressLists(tunnelAddresses: [], vips: [], sources: [])
  }

  func checks() throws -> [Check] {
    var checks = [isUp, maximumPacket, try isAttached]
    checks += [reversePath] + silence + [ownAddresses]
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

  /// A client's packet of 1500 octets comes with an outer header before it.
  private var maximumPacket: Check {
    let overhead = lists.tunnelAddresses.contains { $0.family == .v6 } ? 40 : 20
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

  /// The kernel takes the stricter of the two values: clients' packets come in by this interface, whatever the
  /// way back to them.
  private var reversePath: Check {
    let value = effective("rp_filter")
    return Check(
      "rp_filter, effective on \(interface)", observed: "\(value)",
      expected: "0 or 2: with 1, clients whose way back leaves by another interface are dropped",
      unless: .warn,
      value != 1, fix: "sysctl -w net/ipv4/conf/\(interface)/rp_filter=2")
  }

  /// Where a VIP belongs to this link's network, only the balancer may answer ARP for it.
  private var silence: [Check] {
    let shared = lists.vips.filter { vip in
      addresses.contains { own in
        vip.family == .v4 && own.address.family == .v4 && own.prefixLength < 32
          && (vip.bits ^ own.address.bits) >> UInt128(32 - own.prefixLength) == 0
      }
    }
    return [("arp_ignore", 1), ("arp_announce", 2)].map { name, wanted in
      let value = effective(name)
      let need = shared.isEmpty ? "" : "; \(shared.list) on the network of \(interface)"
      return Check(
        "\(name), effective on \(interface)",
        observed: shared.isEmpty ? "\(value), not needed: no VIP on its network" : "\(value)\(need)",
        expected: "\(wanted) or more\(need)", unless: .fail, shared.isEmpty || value >= wanted,
        fix: "sluice-backend up … --shared-link, or: sysctl -w net/ipv4/conf/\(interface)/\(name)=\(wanted)")
    }
  }

  /// Inner sources that the program would let pass though this host has them.
  private var ownAddresses: Check {
    let known = Set(lists.tunnelAddresses + lists.otherAddresses + lists.vips)
    let missing = hostAddresses.filter(\.isUnicast).subtracting(known).sorted()
    return Check(
      "addresses of this host that packets from the tunnel must not have as source",
      observed: missing.isEmpty ? "all known" : "not known: \(missing.list)", expected: "all known",
      unless: .warn, missing.isEmpty, fix: "sluice-backend up … again, as before")
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
    let covering = Listener.all().map { ($0.port, $0.covers(vip)) }.filter { $0.1 != .no }
    func check(_ subject: String, _ candidates: [(UInt16, Listener.Coverage)], _ expected: String) -> Check {
      let sure = Set(candidates.filter { $0.1 == .yes }.map(\.0)).sorted()
      let unsure = Set(candidates.map(\.0)).subtracting(sure).sorted()
      var observed = sure.map(String.init)
      observed += unsure.map { "\($0) on [::], which takes IPv4 only without IPV6_V6ONLY" }
      return Check(
        subject, observed: observed.isEmpty ? "none" : "port " + observed.joined(separator: ", "),
        expected: expected, unless: candidates.isEmpty ? .fail : .warn, !sure.isEmpty,
        fix: "have the server listen on \(vip) or on all addresses: ss -ltn")
    }
    guard !ports.isEmpty else {
      return [check("TCP listeners for \(vip)", covering, "at least one, on \(vip) or on all addresses")]
    }
    return ports.map { port in
      check("TCP listener for \(vip) port \(port)", covering.filter { $0.0 == port }, "one")
    }
  }
}
