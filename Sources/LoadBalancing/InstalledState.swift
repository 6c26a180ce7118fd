// SPDX-License-Identifier: Apache-2.0

/// What the kernel's maps hold, as far as a plan needs to know it.
public struct InstalledState: Hashable, Sendable {
  public struct Backend: Hashable, Sendable {
    public var number: BackendNumber
    public var pool: String
    public var name: String
    public var address: IPAddress
    public var encapsulation: Encapsulation
    /// Whether packets may go to it, be it new or old flows.
    public var isUsable: Bool
    /// Its place among the pool's counters.
    public var pair: Int
    /// Gone from the desired state, and kept until its flows have ended.
    public var isLeaving: Bool

    public init(
      number: BackendNumber, pool: String, name: String, address: IPAddress, encapsulation: Encapsulation,
      isUsable: Bool, pair: Int, isLeaving: Bool = false
    ) {
      self.number = number
      self.pool = pool
      self.name = name
      self.address = address
      self.encapsulation = encapsulation
      self.isUsable = isUsable
      self.pair = pair
      self.isLeaving = isLeaving
    }
  }

  public struct Pool: Hashable, Sendable {
    public var number: Int
    public var name: String
    public var hash: HashFields
    /// Where its table begins in the array of all slots.
    public var firstSlot: Int
    public var slots: [Slot]

    public init(number: Int, name: String, hash: HashFields, firstSlot: Int, slots: [Slot]) {
      self.number = number
      self.name = name
      self.hash = hash
      self.firstSlot = firstSlot
      self.slots = slots
    }

    public var region: Range<Int> { firstSlot..<(firstSlot + slots.count) }
  }

  public struct Service: Hashable, Sendable {
    public var number: Int
    public var service: VirtualService
    /// Its run of pair counters.
    public var firstPair: Int
    public var pairCount: Int

    public init(number: Int, service: VirtualService, firstPair: Int, pairCount: Int) {
      self.number = number
      self.service = service
      self.firstPair = firstPair
      self.pairCount = pairCount
    }

    public var pairs: Range<Int> { firstPair..<(firstPair + pairCount) }
  }

  public var backends: [BackendNumber: Backend]
  public var pools: [String: Pool]
  public var services: [VirtualService.Key: Service]

  public init(
    backends: [BackendNumber: Backend] = [:], pools: [String: Pool] = [:],
    services: [VirtualService.Key: Service] = [:]
  ) {
    self.backends = backends
    self.pools = pools
    self.services = services
  }

  /// The pool's backends by number, those leaving included.
  public func backends(of pool: String) -> [Backend] {
    backends.values.filter { $0.pool == pool }.sorted { $0.number < $1.number }
  }

  public func backend(named name: String, in pool: String) -> Backend? {
    backends.values.first { $0.pool == pool && $0.name == name && !$0.isLeaving }
  }

  /// A pool's share of slots per backend number.
  public func slotCounts(of pool: String) -> [BackendNumber: Int] {
    var counts: [BackendNumber: Int] = [:]
    for slot in pools[pool]?.slots ?? [] { counts[slot.current, default: 0] += 1 }
    return counts
  }
}
