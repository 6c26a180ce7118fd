// SPDX-License-Identifier: Apache-2.0

/// The part of the kernel's maps that plans depend on.
public struct InstalledState: Hashable, Sendable {
  public struct Backend: Hashable, Sendable {
    public var number: BackendNumber
    public var pool: String
    public var name: String
    public var address: IPAddress
    public var encapsulation: Encapsulation
    /// Whether packets may go to it, of new or existing flows.
    public var isUsable: Bool
    /// Its index among the pair counters of each service of the pool.
    public var pair: Int
    /// Gone from the desired state, and kept until its flows have ended.
    public var isLeaving: Bool
    /// Draining or leaving: a slot whose previous backend it is stays changed.
    public var isDraining: Bool

    public init(
      number: BackendNumber, pool: String, name: String, address: IPAddress, encapsulation: Encapsulation,
      isUsable: Bool, pair: Int, isLeaving: Bool = false, isDraining: Bool = false
    ) {
      self.number = number
      self.pool = pool
      self.name = name
      self.address = address
      self.encapsulation = encapsulation
      self.isUsable = isUsable
      self.pair = pair
      self.isLeaving = isLeaving
      self.isDraining = isDraining
    }
  }

  public struct Pool: Hashable, Sendable {
    public var number: Int
    public var name: String
    public var hash: HashFields
    /// Where its table begins in the array of all slots.
    public var firstSlot: Int
    public var slots: [Slot]
    /// Seconds after which a changed slot settles.
    public var settle: Int

    public init(
      number: Int, name: String, hash: HashFields, firstSlot: Int, slots: [Slot],
      settle: Int = LoadBalancing.Pool.defaultSettle
    ) {
      self.number = number
      self.name = name
      self.hash = hash
      self.firstSlot = firstSlot
      self.slots = slots
      self.settle = settle
    }

    public var region: Range<Int> { firstSlot..<(firstSlot + slots.count) }
  }

  public struct Service: Hashable, Sendable {
    public var number: Int
    public var service: VirtualService
    /// Its run of pair counters.
    public var firstPair: Int
    public var pairCount: Int
    /// The pool that it had before, while flows may still belong to that pool.
    public var move: Move?

    /// A change of pool after which recorded flows may still name backends of the old pool.
    public struct Move: Hashable, Sendable {
      /// The pool that it had: installed until the move is over.
      public var pool: String
      /// The run of pair counters for flows of that pool.
      public var pairs: Range<Int>
      /// When it got its present pool.
      public var at: Tick

      public init(pool: String, pairs: Range<Int>, at: Tick) {
        self.pool = pool
        self.pairs = pairs
        self.at = at
      }
    }

    public init(number: Int, service: VirtualService, firstPair: Int, pairCount: Int, move: Move? = nil) {
      self.number = number
      self.service = service
      self.firstPair = firstPair
      self.pairCount = pairCount
      self.move = move
    }

    public var pairs: Range<Int> { firstPair..<(firstPair + pairCount) }
  }

  public var backends: [BackendNumber: Backend] { didSet { derivedIndex.forget() } }
  public var pools: [String: Pool]
  public var services: [VirtualService.Key: Service]
  private var derivedIndex = Derived<BackendIndex>()

  public init(
    backends: [BackendNumber: Backend] = [:], pools: [String: Pool] = [:],
    services: [VirtualService.Key: Service] = [:]
  ) {
    self.backends = backends
    self.pools = pools
    self.services = services
  }

  public var index: BackendIndex { derivedIndex { BackendIndex(backends) } }

  /// Whether both have the same backends because one is a copy of the other; false: they may have.
  public func sharesBackends(with other: InstalledState) -> Bool {
    derivedIndex.isShared(with: other.derivedIndex)
  }

  /// When slots of a pool become settling and stable.
  /// - Parameter tickLength: seconds of the packet path's tick.
  public func settling(of pool: Pool, tickLength: Double) -> Settling {
    Settling(after: Tick.count(seconds: pool.settle, length: tickLength), draining: index.draining)
  }

  /// The runs of pair counters by pool: those of its services, and of services that moved away from it.
  public var pairRunsByPool: [String: [Range<Int>]] {
    var runs: [String: [Range<Int>]] = [:]
    for service in services.values {
      runs[service.service.pool, default: []].append(service.pairs)
      if let move = service.move { runs[move.pool, default: []].append(move.pairs) }
    }
    return runs
  }

  /// Slots of a pool by their current backend. 0 is the number of slots without one.
  public func slotCounts(of pool: String) -> [BackendNumber: Int] {
    pools[pool].map { TableSummary(of: $0.slots).counts } ?? [:]
  }
}
