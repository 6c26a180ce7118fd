// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// Keys of pools and services, and of what applies where they leave one out.

extension KeyTable {
  static let defaults = KeySection(
    "defaults",
    [
      hash, tableSize, settle, drain, require, encapsulation, check, hysteresis, onInsufficient, healthGuard,
      affinity,
    ])

  static let pool = KeySection(
    "pool", definition: "pool",
    [
      hash, tableSize, settle, drain, require, encapsulation, check, hysteresis, onInsufficient, healthGuard,
      ConfigurationKey(
        "backends", .list(.section(backend), minimum: 0), .none, "The machines that serve the pool."),
    ])

  private static let hash = ConfigurationKey(
    "hash", .words(of: HashFields.self), .value("flow"), isShared: true,
    """
    What of a packet selects the backend. `flow`: addresses, ports and protocol. `source`: the client's address, so that \
    all flows of a client reach one backend. They stay together while backends change, as long as the client has a flow.
    """)

  private static let tableSize = ConfigurationKey(
    "table_size", .prime(251...1_048_573), .value("65537"), isShared: true,
    """
    Slots of the forwarding table. 100 or more per backend spread the load evenly. Choose it once: it must not follow the \
    number of backends, and a change breaks connections.
    """)

  private static let settle = ConfigurationKey(
    "settle", .seconds(10...ValueType.week), .value("2h"), isShared: true,
    """
    How long after a change of a slot its flows are recorded in the flow table. A flow that is silent for longer may move \
    to another backend.
    """)

  private static let drain = ConfigurationKey(
    "drain",
    .section(
      KeySection(
        "drain",
        [
          ConfigurationKey(
            "timeout", .seconds(1...ValueType.week), .value("2h"),
            "How long a backend that was removed is kept for its flows."),
          ConfigurationKey(
            "quiet", .seconds(1...3600), .value("60s"),
            """
            A drain ends when no flow is left and none was newly seen for this long. Not longer than `drain.timeout`. A \
            connection keeps the drain open if two of its packets, three seconds or more apart, arrive within this time: set \
            it to at least twice the longest silence of a connection that must not be cut.
            """),
        ])), .none, isShared: true, "When the drain of a backend ends.")

  private static let require = ConfigurationKey(
    "require", .requirement(0...65_536), .value("0"), isShared: true,
    """
    How many backends must take new flows: a number, or a share of all backends of the pool such as `50%`, rounded up. The \
    daemon refuses a runtime change that leaves fewer, unless it is forced. A reload is not refused: if fewer are `ready` \
    in the file, `config check` warns.
    """)

  private static let encapsulation = ConfigurationKey(
    "encapsulation",
    .section(
      KeySection(
        "encapsulation",
        [
          ConfigurationKey(
            "type", .words(of: Encapsulation.Kind.self), .value(Encapsulation.Kind.standard.rawValue),
            """
            What is between the outer IP header, which is of the backend's family, and the packet. `ipip`: nothing. `gue`: UDP, \
            by `variant`. `fou`: UDP. `gre`: a GRE header of 4 octets. With UDP, routers and NICs spread flows by the source \
            port. `l2`: there is no outer header; the packet goes to the link-layer address of the backend, which must be on \
            the balancer's link. A change makes new backends of all in the pool.
            """
          ),
          ConfigurationKey(
            "variant", .integer(0...1), .described("`1`"),
            """
            `gue` only. `1`: the packet follows UDP directly. `0`: a GUE header of 4 octets is between them.
            """),
          ConfigurationKey(
            "port", .integer(1...65_535), .described("`gue`: `6080`, `fou`: `5555`"),
            """
            `gue` and `fou` only: the UDP destination port; of `fou`, for IPv4 packets.
            """),
          ConfigurationKey(
            "port6", .integer(1...65_535), .described("`5556`"),
            """
            `fou` only: the UDP destination port of IPv6 packets. The kernel's `fou` takes one IP version on a port; \
            `sluice-backend` takes both on each, so that it may equal `port`.
            """),
          source(.v4), source(.v6),
        ])), .none, isShared: true, "How packets travel to the backends.")

  private static func source(_ family: AddressFamily) -> ConfigurationKey {
    ConfigurationKey(
      "source\(family.rawValue)", .prefix(family), .value("auto"),
      """
      Not `l2`: outer source addresses towards IPv\(family.rawValue) backends. A prefix: the bits after it depend on the \
      flow, so that a backend spreads flows over its CPUs. `auto`: the interface's address.
      """)
  }

  private static let hysteresis = ConfigurationKey(
    "hysteresis", .integer(0...65_536), .value("0"), isShared: true,
    """
    A pool is insufficient when it has fewer healthy backends than `require` (and at least 1). It is sufficient again when \
    it has this many more than required.
    """)

  private static let onInsufficient = ConfigurationKey(
    "on_insufficient", .words(of: InsufficientPolicy.self), .value("withdraw"), isShared: true,
    """
    Which backends an insufficient pool uses. `withdraw`: healthy ones only, even if there are none. `keep`: those in use \
    when it last was sufficient. `all`: all.
    """)

  private static let healthGuard = ConfigurationKey(
    "guard",
    .section(
      KeySection(
        "guard",
        [
          ConfigurationKey(
            "share", .percent(1...100), .value("50%"),
            """
            The largest share of the pool's backends that health checks alone may take out of use within `guard.interval`, \
            rounded up.
            """),
          ConfigurationKey(
            "interval", .duration(.seconds(1) ... .seconds(86_400)), .value("60s"),
            "The period to which `guard.share` applies."),
        ])), .none, isShared: true, "A bound on what health checks alone may take out of use.")

  static let backend = KeySection(
    "backend",
    reasons: [
      "port":
        "packets keep the port that clients use, because backends answer clients directly; services name the ports"
    ],
    [
      ConfigurationKey(
        "name", .objectName, .required, label: "backend",
        """
        Unique in its pool. A backend with another name is a new one, with new counters. If it has the address of the old \
        one, it gets the old one's slots and health, and connections continue.
        """),
      ConfigurationKey(
        "address", .address, .required,
        "Unicast, not a VIP, and unique in its pool. Its family need not be the VIP's."),
      ConfigurationKey(
        "weight", .integer(BackendOverride.weights), .value("100"),
        "The backend's share of new flows relative to the others. 0: it takes no new flows."),
      ConfigurationKey(
        "state", .words(of: AdministrativeState.self), .value("ready"),
        "`ready`: in use. `drain`: no new flows; old flows continue. `maint`: out of use at once."),
    ])

  static let service = KeySection(
    "service", definition: "service",
    [
      ConfigurationKey("name", .objectName, .required, label: "service", "Unique."),
      ConfigurationKey(
        "vips", .list(.address, minimum: 1), .required, label: "VIP", "Unicast addresses that clients use."),
      ConfigurationKey(
        "ports", .list(.ports, minimum: 1), .required,
        """
        `PORT/tcp`, `PORT/udp`, a range of up to 256 ports (`5300-5303/udp`), or `any/tcp` for every port that no service \
        names. Each VIP with each port is a virtual service, which belongs to one service only.
        """),
      ConfigurationKey("pool", .objectName, .required, "The pool that serves it."), affinity,
    ])

  private static let affinity = ConfigurationKey(
    "affinity",
    .section(
      KeySection(
        "affinity",
        [
          ConfigurationKey(
            "mode", .words(of: Affinity.Mode.self), .value("changes"),
            """
            `changes`: flows are tracked while their slot has changed recently. `all`: every flow is tracked. `none`: a flow \
            moves with its slot.
            """),
          ConfigurationKey(
            "learn", .seconds(0...ValueType.week), .described("the pool's `settle`"),
            """
            How long after a change of a slot an unknown TCP flow counts as older than the change and goes to the slot's \
            previous backend. Not longer than the pool's `settle`. Use `30s` where several balancers share the VIPs.
            """),
          ConfigurationKey(
            "tcp_idle", .seconds(10...ValueType.week), .value("2h"),
            "A tracked TCP flow is forgotten after this long without a packet."),
          ConfigurationKey(
            "udp_idle", .seconds(1...86_400), .described("`60s`, or `settle` if that is shorter"),
            "A UDP flow is over after this long without a packet. Not longer than the pool's `settle`."),
          ConfigurationKey(
            "on_gone", .words(of: Affinity.OnGone.self), .value("rehash"),
            """
            What happens to a TCP flow whose backend is in maint, removed or down. `rehash`: it goes to the backend that the \
            table names now, which answers with a RST or not at all. `reset`: the balancer sends the client a RST at once.
            """),
        ])), .none, isShared: true, "How flows stay with their backends. See `docs/affinity.md`.")
}
