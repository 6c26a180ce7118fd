// SPDX-License-Identifier: Apache-2.0

/// Backend number 0 is "no backend".
public let noBackend = 0

public enum Transport: Hashable, Sendable { case tcp, udp }

/// A flow, as far as the decision looks at it.
public struct ModelFlow: Hashable, Sendable {
  /// Its name in the flow table.
  public var number: Int
  public var transport: Transport
  /// Which slot it has, by pool.
  public var places: [Int]
  /// Its client's address, as a number.
  public var client: Int

  public init(_ number: Int, _ transport: Transport = .tcp, places: [Int], client: Int = 0) {
    self.number = number
    self.transport = transport
    self.places = places
    self.client = client
  }
}

/// What a packet says of its flow.
public enum PacketKind: Hashable, Sendable {
  /// TCP: a SYN without ACK, RST, FIN.
  case first
  /// TCP: what a sound sender sends later.
  case segment(fin: Bool = false, reset: Bool = false, payload: Bool = false)
  /// TCP with flags that no sound sender sets.
  case odd
  /// UDP.
  case datagram
  /// An ICMP error about the flow.
  case error

  public static let acknowledgement = PacketKind.segment()
  public static let data = PacketKind.segment(payload: true)

  /// A TCP segment of which these flags are set.
  public init(syn: Bool, ack: Bool, fin: Bool, reset: Bool, payload: Bool) {
    if syn {
      self = ack || fin || reset ? .odd : .first
    } else {
      self = ack || reset ? .segment(fin: fin, reset: reset, payload: payload) : .odd
    }
  }

  /// Whether the flow table may learn from it.
  var isEvidence: Bool { self != .odd && self != .error }
}

public struct ModelBackend: Hashable, Sendable {
  public var generation = 1
  public var pool: Int
  public var isUsable = true
  public var isDraining = false

  public init(generation: Int = 1, pool: Int = 0) {
    self.generation = generation
    self.pool = pool
  }
}

/// How a virtual service keeps its flows.
public enum Affinity: Hashable, Sendable { case changes, all, none }

/// A move to another pool that is not over.
public struct Move: Hashable, Sendable {
  public var before: Int
  public var at: Int

  public init(from before: Int, at now: Int) {
    self.before = before
    self.at = now
  }
}

/// Times in ticks.
public struct ModelService: Hashable, Sendable {
  public var pool: Int
  public var affinity = Affinity.changes
  public var learn: Int
  public var udpIdle: Int
  public var tcpIdle: Int
  /// `on_gone: reset`.
  public var resets = false
  public var move: Move?

  public init(pool: Int, learn: Int, udpIdle: Int, tcpIdle: Int) {
    self.pool = pool
    self.learn = learn
    self.udpIdle = udpIdle
    self.tcpIdle = tcpIdle
  }
}

public struct ModelPool: Hashable, Sendable {
  public var slots: [ModelSlot]
  /// Ticks after which a changed slot settles.
  public var settle: Int
  /// `hash: source`: it remembers clients, too.
  public var remembersClients: Bool

  /// All slots stable.
  public init(_ owners: [Int], settle: Int, remembersClients: Bool = false) {
    slots = owners.map { ModelSlot($0) }
    self.settle = settle
    self.remembersClients = remembersClients
  }
}

public struct ModelSlot: Hashable, Sendable {
  public enum State: Hashable, Sendable { case stable, changed, settling }

  public var current: Int
  public var previous = noBackend
  public var state = State.stable
  public var since = 0

  public init(_ current: Int) { self.current = current }
}

/// What the flow table holds of a flow.
public struct ModelEntry: Hashable, Sendable {
  public struct Marks: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let synOnly = Marks(rawValue: 1)
    public static let finished = Marks(rawValue: 2)
    public static let reset = Marks(rawValue: 4)
    public static let once = Marks(rawValue: 8)
    public static let closing: Marks = [.finished, .reset]
  }

  public var backend: Int
  public var generation: Int
  public var lastSeen: Int
  public var marks: Marks
  /// Where it is marked `once`: when its flow's first packet came.
  public var firstSeen: Int?
}

/// Under what a pool remembers a client.
public struct ModelClient: Hashable, Sendable {
  public var pool: Int
  public var client: Int

  public init(pool: Int, client: Int) {
    self.pool = pool
    self.client = client
  }
}

/// What becomes of a packet.
public enum Decision: Hashable, Sendable {
  case backend(Int)
  /// Dropped: there is no backend that could have it.
  case dropped
  /// The client is told by a RST that its backend is gone.
  case reset
}

/// What happened beside the decisions, counted.
public struct ModelEvents: Hashable, Sendable {
  public var found = 0
  public var started = 0
  public var learned = 0
  public var toPrevious = 0
  public var tableFull = 0
  public var overBudget = 0

  public init() {}
}
