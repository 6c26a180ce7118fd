// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// The contents of the files before they are checked against each other. nil: not set, or wrong and reported.

struct Draft {
  var root: Cursor
  var build = BuildCapabilities.thisBuild
  var node = NodeDraft()
  var packets = PacketPolicy()
  var limits = LimitsDraft()
  var defaults = DefaultsDraft()
  var pools: [PoolDraft] = []
  /// Pools beyond `limits.pools` and ``mostPoolsAnyway``, which are counted and not read: a name of one letter would take
  /// more than twenty times its memory.
  var unreadPools = 0
  var services: [ServiceDraft] = []

  /// Pools that are read for their mistakes although `limits.pools` is lower.
  static let mostPoolsAnyway = 1024
}

struct NodeDraft {
  var name: String?
  var interface: NodeSettings.Interface?
  var hashSeed: String?
  var controlSocket: Located<String>?
  var controlGroup: String?
  var statusSocket: Located<String>?
  var statusGroup: String?
  var statusListen: String?
  var pinDirectory: String?
  var stateDirectory: String?
}

struct LimitsDraft {
  var values = NodeSettings.Limits()
  /// Where a limit was set, by its key.
  var locations: [String: Cursor] = [:]
}

struct DefaultsDraft: HasPoolSettings {
  var settings = PoolSettings()
  var affinity = AffinityDraft()
}

struct PoolDraft: HasPoolSettings {
  let name: Located<String>
  /// nil: it sets none. There may be many such pools, and one's settings take ten times what the rest takes.
  private var ownSettings: Box<PoolSettings>?
  var backends: [BackendDraft] = []
  /// False where the list of backends could not be read.
  var backendsAreKnown = true
  /// What it came to at an earlier reading with the same text and the same defaults.
  var known: Box<KnownPool>?

  init(name: Located<String>) { self.name = name }

  var settings: PoolSettings {
    get { ownSettings?.value ?? PoolSettings() }
    set { ownSettings = Box(newValue) }
  }

  var hasSettings: Bool { ownSettings != nil }

  /// Whether its own checks are known to find nothing.
  var isFlawless: Bool { known?.value.isFlawless ?? false }
}

/// The keys that a pool and `defaults` have in common.
struct PoolSettings {
  var hash: HashFields?
  var tableSize: Located<Int>?
  var settle: Located<Int>?
  var drain = DrainDraft()
  var require: Located<Requirement>?
  var encapsulation = EncapsulationDraft()
  var health = HealthDraft()
}

protocol HasPoolSettings {
  var settings: PoolSettings { get }
}

extension HasPoolSettings {
  var hash: HashFields? { settings.hash }
  var tableSize: Located<Int>? { settings.tableSize }
  var settle: Located<Int>? { settings.settle }
  var drain: DrainDraft { settings.drain }
  var require: Located<Requirement>? { settings.require }
  var encapsulation: EncapsulationDraft { settings.encapsulation }
  var health: HealthDraft { settings.health }
}

/// Keeps a large value that few objects have apart from them.
final class Box<Value> {
  let value: Value

  init(_ value: Value) { self.value = value }
}

struct BackendDraft {
  /// Stands at the whole entry.
  let cursor: Cursor
  var name: Located<String>?
  var address: Located<IPAddress>?
  var weight: Weight?
  var state: AdministrativeState?
}

struct DrainDraft {
  var timeout: Located<Int>?
  var quiet: Located<Int>?
}

struct EncapsulationDraft {
  var kind: Encapsulation.Kind?
  /// False where the type could not be read.
  var kindIsKnown = true
  var kindCursor: Cursor?
  /// The cursors of these three stand at the keys.
  var variant: Located<Int>?
  var port: Located<Int>?
  var port6: Located<Int>?
  var source4: Located<OuterSource>?
  var source6: Located<OuterSource>?
}

/// Where outer source addresses come from.
enum OuterSource {
  /// `auto`: the interface's address.
  case interface
  case prefix(IPPrefix)

  var prefix: IPPrefix? {
    if case .prefix(let prefix) = self { return prefix }
    return nil
  }
}

struct ServiceDraft {
  /// Stands at the whole entry.
  let cursor: Cursor
  var name: Located<String>?
  var vips: [Located<IPAddress>] = []
  var ports: [Located<PortRange>] = []
  var pool: Located<String>?
  private var ownAffinity: Box<AffinityDraft>?

  init(cursor: Cursor) { self.cursor = cursor }

  var affinity: AffinityDraft {
    get { ownAffinity?.value ?? AffinityDraft() }
    set { ownAffinity = Box(newValue) }
  }
}

/// Ports of one transport protocol; 0...0 means any.
struct PortRange {
  let transport: TransportProtocol
  let ports: ClosedRange<UInt16>
}

struct AffinityDraft {
  var mode: Affinity.Mode?
  var learn: Located<Int>?
  var tcpIdle: Int?
  var udpIdle: Located<Int>?
  var onGone: Affinity.OnGone?
}
