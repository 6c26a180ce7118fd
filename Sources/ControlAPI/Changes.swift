// SPDX-License-Identifier: Apache-2.0

/// `POST /v1/pools/POOL/backends/NAME`
public struct BackendAddition: Codable, Hashable, Sendable {
  public var address: String
  /// 100 where it is not said.
  public var weight: Int?
  /// ready, drain or maint; ready where it is not said.
  public var state: String?
  public var reason: String?

  public init(address: String, weight: Int? = nil, state: String? = nil, reason: String? = nil) {
    self.address = address
    self.weight = weight
    self.state = state
    self.reason = reason
  }
}

/// `PATCH /v1/pools/POOL/backends/NAME`: what is said changes. Drain, undrain and maint are states.
public struct BackendChange: Codable, Hashable, Sendable {
  public var weight: Int?
  public var state: String?
  public var reason: String?

  public init(weight: Int? = nil, state: String? = nil, reason: String? = nil) {
    self.weight = weight
    self.state = state
    self.reason = reason
  }
}

/// What a change does, or would do.
public struct ChangeEffect: Codable, Hashable, Sendable {
  public struct Pool: Codable, Hashable, Sendable {
    public var pool: String
    /// Slots whose new flows go elsewhere.
    public var slotsMoved: Int
    public var slotsTotal: Int
    /// Backends that take new flows, after the change.
    public var ready: Int
    /// As many as there should be of them.
    public var required: Int
    /// Backends that had slots and have none after the change.
    public var emptied: [String]
    /// Backends that had none and have some after it.
    public var filled: [String]

    public init(
      pool: String, slotsMoved: Int, slotsTotal: Int, ready: Int, required: Int, emptied: [String] = [],
      filled: [String] = []
    ) {
      self.pool = pool
      self.slotsMoved = slotsMoved
      self.slotsTotal = slotsTotal
      self.ready = ready
      self.required = required
      self.emptied = emptied
      self.filled = filled
    }
  }

  /// A backend that packets reach no more, and what is known of its flows that cannot be counted: those of slots that
  /// did not change lately.
  public struct Uncounted: Codable, Hashable, Sendable {
    /// `web/b1`
    public var backend: String
    /// Slots of the pool whose flows they are, of so many.
    public var slots: Int
    public var slotsTotal: Int
    /// Its recent packet rate, of all its flows; nil: not measured yet.
    public var packetsPerS: Double?
    /// Of the packets that its pool was sent: 0…1.
    public var share: Double?
    /// Seconds that both are taken over.
    public var overS: Double?

    public init(
      backend: String, slots: Int, slotsTotal: Int, packetsPerS: Double? = nil, share: Double? = nil,
      overS: Double? = nil
    ) {
      self.backend = backend
      self.slots = slots
      self.slotsTotal = slotsTotal
      self.packetsPerS = packetsPerS
      self.share = share
      self.overS = overS
    }
  }

  /// Lines that begin with `+`, `-` or `~`. Of a configuration: every key that differs, with its old and new value.
  public var changes: [String]
  /// Virtual services that stay as they are while a table or a backend changes under them.
  public var services: [String]
  public var pools: [Pool]
  /// Live flows in the flow table of backends that lose slots or go out of use: of the tracked ones, at most so many
  /// are concerned. There may be more that need no entry. nil: not counted.
  public var flowsConcerned: Int?
  /// Of those, the ones that cannot stay with their backend.
  public var flowsLost: Int?
  /// Backends whose flows break without having been counted.
  public var uncounted: [Uncounted]
  public var warnings: [String]

  public init(
    changes: [String], services: [String] = [], pools: [Pool], flowsConcerned: Int? = nil,
    flowsLost: Int? = nil, uncounted: [Uncounted] = [], warnings: [String]
  ) {
    self.changes = changes
    self.services = services
    self.pools = pools
    self.flowsConcerned = flowsConcerned
    self.flowsLost = flowsLost
    self.uncounted = uncounted
    self.warnings = warnings
  }
}

/// The answer to every change.
public struct ChangeReply: Codable, Hashable, Sendable {
  /// Of the desired state, after the change; the same as before it in a dry run.
  public var generation: Int
  public var dryRun: Bool
  public var effect: ChangeEffect
  /// Why the change, which is in force, could not be saved: a restart of the daemon would forget it. nil: it is saved.
  public var notSaved: String?
  /// Of a reload: keys of the file, such as `limits.flows`, whose values are in force only after a restart of the
  /// daemon.
  public var restartRequired: [String]

  public init(
    generation: Int, dryRun: Bool, effect: ChangeEffect, notSaved: String? = nil,
    restartRequired: [String] = []
  ) {
    self.generation = generation
    self.dryRun = dryRun
    self.effect = effect
    self.notSaved = notSaved
    self.restartRequired = restartRequired
  }
}

/// `GET /v1/config/diff`: what a reload would do, and how the running state differs from the file it was loaded from.
public struct ConfigurationDiff: Codable, Hashable, Sendable {
  public var reload: ChangeEffect
  /// Overrides in force, a line each.
  public var drift: [String]
  /// Keys whose change needs a restart.
  public var restartRequired: [String]

  public init(reload: ChangeEffect, drift: [String], restartRequired: [String]) {
    self.reload = reload
    self.drift = drift
    self.restartRequired = restartRequired
  }
}

/// Every error has this body.
public struct ErrorReply: Codable, Hashable, Sendable, Error {
  public struct Body: Codable, Hashable, Sendable {
    /// Stable: backend-not-found, invalid-request, …
    public var code: String
    public var message: String
    /// What was most likely meant.
    public var suggestion: String?
    /// Of the request.
    public var path: String?
    /// Mistakes of a configuration.
    public var diagnostics: [ConfigurationDiagnostic]?
    /// What the refused change would do.
    public var effect: ChangeEffect?

    public init(
      code: String, message: String, suggestion: String? = nil, path: String? = nil,
      diagnostics: [ConfigurationDiagnostic]? = nil, effect: ChangeEffect? = nil
    ) {
      self.effect = effect
      self.code = code
      self.message = message
      self.suggestion = suggestion
      self.path = path
      self.diagnostics = diagnostics
    }
  }

  public var error: Body

  public init(_ error: Body) { self.error = error }
}
