// SPDX-License-Identifier: Apache-2.0
public import CForwardingABI
public import LoadBalancing

/// A backend as a test describes it, and how the forwarder's map wants it. The encoding is the tests' own, so that
/// they do not repeat a mistake of the daemon's.
public struct TestBackend: Hashable, Sendable {
  public var number: UInt32
  public var address: IPAddress
  /// The outer source, without entropy.
  public var source: IPAddress
  /// How many of the source's last bits carry entropy.
  public var entropyBits: Int
  public var nextHop: HardwareAddress?
  public var mtu: UInt16
  public var isUsable: Bool
  public var generation: UInt32
  public var encapsulation: TestEncapsulation
  public var pair: UInt16

  public init(
    _ number: UInt32, _ address: IPAddress, source: IPAddress, entropyBits: Int = 0,
    nextHop: HardwareAddress?,
    mtu: UInt16 = 1600, isUsable: Bool = true, generation: UInt32 = 1,
    encapsulation: TestEncapsulation = .ipip,
    pair: UInt16 = 0
  ) {
    self.number = number
    self.address = address
    self.source = source
    self.entropyBits = entropyBits
    self.nextHop = nextHop
    self.mtu = mtu
    self.isUsable = isUsable
    self.generation = generation
    self.encapsulation = encapsulation
    self.pair = pair
  }

  public var entropyMask: UInt32 { entropyBits == 0 ? 0 : UInt32.max >> UInt32(32 - entropyBits) }

  /// The spread is the golden ratio's, as in the forwarder.
  private static func entropy(_ hash: UInt32) -> UInt32 { hash &* 0x9e37_79b1 }

  /// The outer source of a flow with this hash. The entropy's octets are taken in memory order.
  public func source(hash: UInt32) -> IPAddress {
    let varying = Self.entropy(hash).byteSwapped & entropyMask
    return IPAddress(family: source.family, bits: source.bits | UInt128(varying))
  }

  /// The outer UDP source port of a flow with this hash: one of the dynamic ports.
  public static func sourcePort(hash: UInt32) -> UInt16 { 49_152 + UInt16(entropy(hash) % 16_384) }

  public static func flowLabel(hash: UInt32) -> UInt32 { entropy(hash) & 0xfffff }

  /// The element of the outer sources that an IPv6 backend's record names has the backend's number.
  public var abi: backend {
    var abi = backend()
    abi.next_hop = nextHop.map { $0.word | 1 << 48 } ?? 0
    if isUsable { abi.next_hop |= 1 << 49 }
    if address.family == .v6 { abi.next_hop |= 1 << 50 }
    abi.next_hop |= UInt64(encapsulation.number) << 60
    abi.port4 = encapsulation.port(.v4).bigEndian
    abi.port6 = encapsulation.port(.v6).bigEndian
    abi.generation = generation
    withUnsafeMutableBytes(of: &abi.destination) { $0.copyBytes(from: address.lastInSixteen) }
    abi.source_mask = entropyMask.bigEndian
    abi.pair = pair
    abi.path = UInt64(mtu) << 48
    if address.family == .v4 {
      let constant = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 0, 0, 0] + source.octets + address.octets
      let sum = (~internetChecksum(constant)).bigEndian
      abi.path |= UInt64(UInt32(truncatingIfNeeded: source.bits).bigEndian) | UInt64(sum) << 32
    } else {
      abi.path |= UInt64(number)
    }
    return abi
  }
}

extension IPAddress {
  /// Sixteen octets that end in the address.
  fileprivate var lastInSixteen: [UInt8] { [UInt8](repeating: 0, count: 16 - octets.count) + octets }
}

/// A pool: its slots, as words of the forwarding table.
public struct TestPool: Sendable {
  public var number: UInt32
  public var slots: [UInt64]
  public var hash: hash_fields
  /// In place of where and how many the slots are.
  public var table: UInt64?
  /// Ticks after which a changed slot settles.
  public var settle: UInt64 = 1000

  public init(_ number: UInt32, slots: [UInt64], hash: hash_fields = .HASH_FLOW, table: UInt64? = nil) {
    self.number = number
    self.slots = slots
    self.hash = hash
    self.table = table
  }

  /// A pool whose stable slots name these backends.
  public init(_ number: UInt32, _ backends: UInt32..., hash: hash_fields = .HASH_FLOW) {
    self.init(number, slots: backends.map { slot_word($0, 0, .SLOT_STABLE, 0) }, hash: hash)
  }
}

/// A virtual service. Port 0: any port.
public struct TestService: Sendable {
  public var number: UInt32
  public var vip: IPAddress
  public var port: UInt16
  public var transport: IPProtocol
  public var pool: UInt32
  public var affinity: affinity
  public var learn, udpIdle, tcpIdle: UInt32
  /// Whether flows whose backend is gone get a RST.
  public var resets = false

  public init(
    _ number: UInt32, _ vip: IPAddress, _ port: UInt16, _ transport: IPProtocol = .tcp, pool: UInt32,
    affinity: affinity = .AFFINITY_CHANGES, learn: UInt32 = 100, udpIdle: UInt32 = 30, tcpIdle: UInt32 = 1000
  ) {
    self.number = number
    self.vip = vip
    self.port = port
    self.transport = transport
    self.pool = pool
    self.affinity = affinity
    self.learn = learn
    self.udpIdle = udpIdle
    self.tcpIdle = tcpIdle
  }

  /// Where its pair counters begin. Each service has four.
  public var firstPair: UInt32 { number * 4 }

  /// Without its pool's table.
  public var abi: service {
    let binding = UInt64(firstPair) << 32 | UInt64(pool)
    return service(
      table: 0, binding: binding, before: binding, affinity: affinity,
      flags: resets ? UInt32(SERVICE_RESETS) : 0,
      learn: learn, udp_idle: udpIdle, tcp_idle: tcpIdle, moved: 0, pair_count: 4, pair_count_before: 0,
      zero: 0)
  }
}

/// All that a test puts into the forwarder's maps.
public struct Scenario: Sendable {
  public var hashKeys: [UInt64]
  public var backends: [TestBackend] = []
  public var pools: [TestPool] = []
  public var services: [TestService] = []
  /// Answers and ICMP errors a CPU handles in a tick.
  public var answersPerTick = UInt32.max
  /// The same for packets from one network.
  public var answersPerNetwork = UInt32.max
  /// Flow entries a CPU may add in a tick: for first packets, and for others of unknown flows.
  public var newPerTick = UInt32.max
  public var learnedPerTick = UInt32.max
  public var flowEntries: UInt32 = 4096
  public var interface: UInt64 = HardwareAddress.balancer.word
  /// What becomes of packets for a VIP that no service has.
  public var unserved = CForwardingABI.unserved.UNSERVED_REJECT

  public init(hashKeys: [UInt64] = Scenario.keys(1)) { self.hashKeys = hashKeys }

  /// Hash keys that are always the same for a seed.
  public static func keys(_ seed: UInt64) -> [UInt64] {
    var generator = SplitMix64(seed: seed)
    return (0..<Int(HASH_KEYS)).map { _ in generator.next() }
  }

  /// The service that a flow is for: that of its port, else that of any port.
  public func service(for flow: Flow) -> TestService? {
    let candidates = services.filter { $0.vip == flow.vip && $0.transport == flow.transport }
    return candidates.first { $0.port == flow.servicePort } ?? candidates.first { $0.port == 0 }
  }

  public func backend(_ number: UInt32) -> TestBackend { backends.first { $0.number == number }! }
}

/// Sebastiano Vigna's generator: the same seed gives the same packets everywhere.
public struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  @inline(__always)
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
    return word ^ word >> 31
  }
}
