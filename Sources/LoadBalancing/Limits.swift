// SPDX-License-Identifier: Apache-2.0

extension NodeSettings {
  /// Upper bounds of the kernel's tables; memory is taken for all of it at start.
  public struct Limits: Hashable, Sendable {
    public var services: Int
    public var pools: Int
    public var backends: Int
    /// Slots of all forwarding tables together, and of the largest once more: a changed table is written beside the
    /// one in force.
    public var slots: Int
    public var flows: Int
    /// Counters of (virtual service, backend) pairs (``pairs(forBackends:)``).
    public var pairs: Int

    public init(
      services: Int = 1024, pools: Int = 256, backends: Int = 4096, slots: Int = 4_194_304,
      flows: Int = 1_000_000,
      pairs: Int = 65_536
    ) {
      self.services = services
      self.pools = pools
      self.backends = backends
      self.slots = slots
      self.flows = flows
      self.pairs = pairs
    }
  }
}

/// The rules by which objects count against the limits: the check of a configuration and the planner use the same.
extension NodeSettings.Limits {
  /// The pair counters of one virtual service: a power of two, 16 or more, so that adding a backend seldom moves
  /// counters.
  /// - Parameter backends: of its pool, those that are leaving included.
  public static func pairs(forBackends backends: Int) -> Int {
    var count = 16
    while count < backends { count *= 2 }
    return count
  }
}
