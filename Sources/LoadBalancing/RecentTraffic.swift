// SPDX-License-Identifier: Apache-2.0

/// Recent packet rates, from counters that are read from time to time.
///
/// Times are in seconds of a monotonic clock.
public struct RecentTraffic: Equatable, Sendable {
  /// Packets forwarded until some time, since the counters began. Absent keys have 0.
  public struct Totals: Equatable, Sendable {
    public var at: Double
    /// Packets.
    public var services: [VirtualService.Key: UInt64]
    public var backends: [BackendNumber: UInt64]

    public init(
      at: Double, services: [VirtualService.Key: UInt64] = [:], backends: [BackendNumber: UInt64] = [:]
    ) {
      self.at = at
      self.services = services
      self.backends = backends
    }
  }

  /// How long a service counts as in use after its last packet, in seconds.
  public static let memory = 300.0
  /// Rates are over this many seconds, up to twice as many, or for as long as there are totals.
  private static let span = 30.0

  /// Readings at least ``span`` apart, the oldest first: two at most.
  private var earlier: [Totals] = []
  private var latest: Totals?
  /// When each service was last seen to have new packets.
  private var lastPackets: [VirtualService.Key: Double] = [:]
  private var begun: Double?

  public init() {}

  public mutating func note(_ totals: Totals) {
    begun = begun ?? totals.at
    if let latest {
      for (key, packets) in totals.services where packets > latest.services[key] ?? 0 {
        lastPackets[key] = totals.at
      }
    }
    lastPackets = lastPackets.filter { totals.services[$0.key] != nil }
    if earlier.last.map({ totals.at - $0.at >= Self.span }) ?? true { earlier.append(totals) }
    if earlier.count > 2 { earlier.removeFirst() }
    latest = totals
  }

  /// How a service is used.
  public enum Use: Equatable, Sendable {
    /// It had packets within the ``memory``: the rate, and the seconds that it is averaged over.
    case recent(perSecond: Double, over: Double)
    /// It had packets at some time, and has been watched for less than the ``memory``.
    case unknown(packets: UInt64, watched: Double)
    case none
  }

  /// - Parameter total: all packets of the service, also before the first reading.
  public func use(of service: VirtualService.Key, total: UInt64) -> Use {
    guard let latest, let begun else { return .none }
    if let last = lastPackets[service], latest.at - last <= Self.memory {
      let (packets, seconds) = risen { $0.services[service] }
      return .recent(perSecond: seconds > 0 ? Double(packets) / seconds : 0, over: seconds)
    }
    let watched = latest.at - begun
    return total > 0 && watched < Self.memory ? .unknown(packets: total, watched: watched) : .none
  }

  /// The packet rate of a backend, and the seconds that it is averaged over; nil: not known yet.
  public func rate(of backend: BackendNumber) -> (perSecond: Double, over: Double)? {
    let (packets, seconds) = risen { $0.backends[backend] }
    return seconds > 0 ? (Double(packets) / seconds, seconds) : nil
  }

  /// By how much a counter rose since the first of the totals that rates are from, and the seconds since then.
  private func risen(_ counter: (Totals) -> UInt64?) -> (packets: UInt64, seconds: Double) {
    guard let latest, let first = earlier.first else { return (0, 0) }
    let (before, now) = (counter(first) ?? 0, counter(latest) ?? 0)
    // A number or key that was reused began at 0.
    return (now >= before ? now - before : now, latest.at - first.at)
  }
}
