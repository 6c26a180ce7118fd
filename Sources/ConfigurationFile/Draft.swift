// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// What the files say, before it is known to fit together. nil means: not said, or wrong and reported.

struct Draft {
  var root: Cursor
  var node = NodeDraft()
  var packets = PacketPolicy()
  var limits = LimitsDraft()
  var defaults = DefaultsDraft()
  var pools: [PoolDraft] = []
  var services: [ServiceDraft] = []
}

struct NodeDraft {
  var name: String?
  var interface: NodeSettings.Interface?
  var hashSeed: String?
  var controlSocket: Placed<String>?
  var controlGroup: String?
  var statusSocket: Placed<String>?
  var statusGroup: String?
  var statusListen: String?
  var pinDirectory: String?
  var stateDirectory: String?
}

struct LimitsDraft {
  var values = NodeSettings.Limits()
  /// Where a limit was set, by its key.
  var places: [String: Cursor] = [:]
}

struct DefaultsDraft {
  var hash: HashFields?
  var tableSize: Placed<Int>?
  var settle: Placed<Int>?
  var drain = DrainDraft()
  var require: Placed<Requirement>?
  var encapsulation = EncapsulationDraft()
  var affinity = AffinityDraft()
  var health = HealthDraft()
}

struct PoolDraft {
  let name: Placed<String>
  var hash: HashFields?
  var tableSize: Placed<Int>?
  var settle: Placed<Int>?
  var drain = DrainDraft()
  var require: Placed<Requirement>?
  var encapsulation = EncapsulationDraft()
  var health = HealthDraft()
  var backends: [BackendDraft] = []
  /// False where the list of backends could not be read.
  var backendsAreKnown = true
}

struct BackendDraft {
  /// Stands at the whole entry.
  let cursor: Cursor
  var name: Placed<String>?
  var address: Placed<IPAddress>?
  var weight: Weight?
  var state: AdministrativeState?
}

struct DrainDraft {
  var timeout: Placed<Int>?
  var quiet: Placed<Int>?
}

struct EncapsulationDraft {
  var kind: Encapsulation.Kind?
  var source4: Placed<OuterSource>?
  var source6: Placed<OuterSource>?
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
  var name: Placed<String>?
  var vips: [Placed<IPAddress>] = []
  var ports: [Placed<PortRange>] = []
  var pool: Placed<String>?
  var affinity = AffinityDraft()
}

/// Ports of one transport protocol; 0...0 means any.
struct PortRange {
  let transport: TransportProtocol
  let ports: ClosedRange<UInt16>
}

struct AffinityDraft {
  var mode: Affinity.Mode?
  var learn: Placed<Int>?
  var tcpIdle: Int?
  var udpIdle: Placed<Int>?
  var onGone: Affinity.OnGone?
}
