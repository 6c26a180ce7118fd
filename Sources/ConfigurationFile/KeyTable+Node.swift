// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// Keys of the balancer itself.

extension KeyTable {
  static let node = KeySection(
    "node",
    [
      ConfigurationKey(
        "name", .objectName, .described("the host's name"), label: "node name",
        "The balancer's name in status and metrics.")
    ])

  static let interface = KeySection(
    "interface",
    [
      ConfigurationKey(
        "name", .other(pattern: "^[^/: ]{1,15}$"), .required, "The interface, such as `eth0`."),
      ConfigurationKey(
        "mode", .words(of: AttachMode.self), .value("auto"),
        """
        `native`: in the driver. `generic`: in the kernel's network stack; works with every driver, but is slower. \
        `auto`: native where the driver supports it, else generic. Sluice tries native mode again when the MTU changes, \
        and at each start unless the driver refused it for this interface and MTU; `sluice detach` followed by a start \
        tries it in any case. The kernel does not run a program in both modes at once: while the mode changes, packets \
        pass to the stack for 20 to 40 ms.
        """),
      ConfigurationKey(
        "next_hop", .other(pattern: nil), .value("auto"),
        """
        Where encapsulated packets are sent. `auto`: where the kernel's routes lead, for each backend. An IPv4 or IPv6 \
        address: always that gateway. A link-layer address (`02:00:00:00:00:01`): always that address; nothing is resolved. \
        Neither of them takes routes to the backends.
        """),
    ])

  static let hashSeed = ConfigurationKey(
    "hash_seed", .text(16...1024), .described("this or `hash_seed_file` is required"), isSecret: true,
    """
    The secret from which the keys of the flow hash are derived. Use the same one on every balancer of a fleet. Someone \
    who knows it can send all load to one backend.
    """)

  static let hashSeedFile = ConfigurationKey(
    "hash_seed_file", .absolutePath, .none,
    """
    A file that holds the seed and nothing else; blanks around it are removed. The daemon's user must be able to read it: \
    with the systemd unit, owner `root`, group `sluice`, mode 0640. A warning if every user can read it.
    """)

  static let packets = KeySection(
    "packets",
    [
      ConfigurationKey(
        "unserved", .words(of: PacketPolicy.Unserved.self), .value("reject"),
        """
        What happens to a packet to a VIP whose port or protocol belongs to no service. `reject`: TCP is answered with a \
        RST, UDP with "port unreachable", other protocols with "protocol unreachable", all rate limited. While a pool waits \
        for its first health verdicts, the packet is dropped instead, so that clients of its services try again; if the VIP \
        has no installed service at all, the packet passes to this host's stack. `drop`: the packet is dropped. `pass`: the \
        packet goes to this host's own stack; needed where the host itself uses a VIP.
        """),
      ConfigurationKey(
        "vip_sources", .words(of: PacketPolicy.VIPSources.self), .value("drop"),
        """
        What happens to a packet to a VIP whose source address is a VIP too. `drop`: it is dropped, because a forged one \
        could make two services answer each other without end. `accept`: it is forwarded, for backends that connect to other \
        services from a VIP.
        """),
    ])

  static let limits = KeySection(
    "limits",
    [
      limit("services", 1...65_536, 1024, "Virtual services: VIPs × ports."),
      limit("pools", 1...65_536, 256, "Pools."),
      limit(
        "backends", 1...262_143, 4096,
        """
        Backends of all pools, leaving ones included: leave space for those that a reload replaces. One pool can have 65536.
        """),
      limit(
        "slots", 502...268_435_456, 4_194_304,
        """
        Slots of all forwarding tables, and of the largest once more: a changed table is written beside the one in force.
        """),
      limit(
        "flows", 1024...134_217_728, 1_000_000,
        "Entries of the flow table; [operation.md](operation.md#sizing) says how many are needed."),
      limit(
        "pairs", 1...16_777_216, 65_536,
        """
        Counters: for each virtual service one for each backend of its pool, rounded up to 16, 32, 64 and so on.
        """),
    ])

  private static func limit(
    _ name: String, _ range: ClosedRange<Int>, _ fallback: Int, _ meaning: String
  ) -> ConfigurationKey {
    ConfigurationKey(name, .integer(range), .value("\(fallback)"), label: "limit", meaning)
  }

  static let control = KeySection(
    "control",
    [
      ConfigurationKey(
        "socket", .socket(107), .value("/run/sluice/control.sock"),
        "Unix socket, mode 0660, on which everything can be changed."),
      group,
    ])

  static let status = KeySection(
    "status",
    [
      ConfigurationKey(
        "socket", .socket(107), .value("/run/sluice/status.sock"), "Unix socket that answers queries only."),
      group,
      ConfigurationKey(
        "listen", .other(pattern: nil), .described("`\"\"` (off)"),
        """
        `ADDRESS:PORT` or `[ADDRESS]:PORT` for metrics and status over TCP. A warning if it is not a loopback address.
        """),
    ])

  private static let group = ConfigurationKey(
    "group", .other(pattern: "^[A-Za-z0-9._][A-Za-z0-9._-]{0,31}$"), .described("the daemon's"),
    "Group that may use the socket.")

  static let paths = KeySection(
    "paths",
    [
      ConfigurationKey(
        "pins", .other(pattern: "^/sys/fs/bpf/."), .value("/sys/fs/bpf/sluice"), label: "pin directory",
        "Directory below `/sys/fs/bpf` for the XDP link and the maps. Daemons on one host need one each."),
      ConfigurationKey(
        "state", .absolutePath, .value("/var/lib/sluice"), label: "state directory",
        "Directory for runtime changes and health state: see [what is saved](cli.md#what-is-saved)."),
    ])
}
