// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Foundation
internal import HTTPTypes
internal import LoadBalancing

/// What the control API changes. A refused request changes nothing.
extension Reconciler {
  func add(
    _ name: String, to pool: String, _ addition: BackendAddition, by requester: Requester, dryRun: Bool
  ) async throws -> ChangeReply {
    let target = try self.pool(pool)
    try checkName(name)
    guard let address = IPAddress(addition.address) else {
      throw ControlError.invalid("address \"\(addition.address)\" is not an IPv4 or IPv6 address")
    }
    guard address.isUnicast, !desired.vips.contains(address) else {
      throw ControlError.invalid(
        "address \(address) cannot be a backend: it is a VIP or not a unicast address")
    }
    if target.backend(named: name) != nil {
      throw ControlError.refused(
        "backend-exists", "backend \(pool)/\(name) exists; change it with `backend set`")
    }
    if let other = target.backends.first(where: { $0.address == address }) {
      throw ControlError.refused(
        "address-in-use", "backend \(pool)/\(other.name) has address \(address) already")
    }
    let override = BackendOverride(
      pool: pool, backend: name, presence: .added(address), state: try state(addition.state),
      weight: try weight(addition.weight), provenance: provenance(requester, addition.reason))
    return try await change(override, dryRun: dryRun)
  }

  func change(
    _ name: String, in pool: String, _ change: BackendChange, by requester: Requester, dryRun: Bool
  ) async throws -> ChangeReply {
    _ = try configured(name, in: pool)
    var override =
      overrides.first { $0.pool == pool && $0.backend == name }
      ?? BackendOverride(pool: pool, backend: name, provenance: provenance(requester, change.reason))
    override.provenance = provenance(requester, change.reason)
    if let new = try state(change.state) { override.state = new }
    if let new = try weight(change.weight) { override.weight = new }
    guard change.state != nil || change.weight != nil else {
      throw ControlError.invalid("nothing to change: give weight or state")
    }
    return try await self.change(override, dryRun: dryRun)
  }

  /// Takes a backend out of the pool. Its flows end in peace, unless `force` cuts them off.
  func remove(
    _ name: String, from pool: String, force: Bool, reason: String?, by requester: Requester, dryRun: Bool
  ) async throws -> ChangeReply {
    let leaving = installed.backends(of: pool).first { $0.name == name && $0.isLeaving }
    if let leaving, force, desired.pool(named: pool)?.backend(named: name) == nil {
      return try await apply(overrides, expiring: [leaving.number], dryRun: dryRun)
    }
    _ = try configured(name, in: pool)
    var remaining = overrides.filter { !($0.pool == pool && $0.backend == name) }
    if configuration.desired.pool(named: pool)?.backend(named: name) != nil {
      remaining.append(
        BackendOverride(
          pool: pool, backend: name, presence: .removed, provenance: provenance(requester, reason)))
    }
    var reply = try await apply(remaining, dryRun: dryRun)
    guard force, !dryRun,
      let gone = installed.backends(of: pool).first(where: { $0.name == name && $0.isLeaving })
    else { return reply }
    _ = try await put(overrides, expiring: [gone.number])
    reply.generation = generation
    return reply
  }

  private func change(_ override: BackendOverride, dryRun: Bool) async throws -> ChangeReply {
    let others = overrides.filter { !($0.pool == override.pool && $0.backend == override.backend) }
    return try await apply(others + [override], dryRun: dryRun)
  }

  private func apply(
    _ overrides: [BackendOverride], expiring: Set<BackendNumber> = [], dryRun: Bool
  ) async throws -> ChangeReply {
    let backends = configuration.desired.applying(overrides).backendChanges(since: desired)
    do {
      let effect =
        dryRun
        ? try effect(of: overrides, expiring: expiring) : try await put(overrides, expiring: expiring)
      return ChangeReply(
        generation: generation, dryRun: dryRun, effect: ChangeEffect(effect, backends: backends))
    } catch let error as PlanError {
      throw ControlError.refused("limit-exceeded", "\(error)")
    }
  }

  // MARK: Configuration

  func reloadConfiguration() async throws -> ChangeReply {
    let before = desired
    let (outcome, effect) = await reload()
    let backends = desired.backendChanges(since: before)
    guard let failure = outcome.failure else {
      return ChangeReply(
        generation: generation, dryRun: false,
        effect: effect.map { ChangeEffect($0, backends: backends) } ?? ChangeEffect.nothing
      )
    }
    // The diagnostics tell the mistakes; the log's line has the first one, too.
    let report = ConfigurationReport(configuration: nil, diagnostics: outcome.diagnostics)
    throw configurationError(report.summary.isEmpty ? failure : report.summary, outcome.diagnostics)
  }

  /// Whether a configuration can be used.
  func checkConfiguration(_ candidate: String?) throws -> ConfigurationCheck {
    let report = read(candidate)
    guard let read = report.configuration else {
      throw configurationError(report.summary, report.diagnostics)
    }
    return ConfigurationCheck(
      services: read.desired.services.count, pools: read.desired.pools.count,
      warnings: report.warnings.map { ConfigurationDiagnostic($0) })
  }

  /// What a reload would do now.
  func diffConfiguration(_ candidate: String?) throws -> ConfigurationDiff {
    let report = read(candidate)
    guard let read = report.configuration else {
      throw configurationError(report.summary, report.diagnostics)
    }
    let target = read.desired.applying(overrides)
    let effect: Effect
    do {
      effect = try plan(target).get().effect
    } catch let error as PlanError {
      throw ControlError.refused("limit-exceeded", "\(error)")
    }
    return ConfigurationDiff(
      reload: ChangeEffect(effect, backends: target.backendChanges(since: desired)),
      drift: overrides.map {
        let why = $0.provenance.reason.map { ": \($0)" } ?? ""
        return
          "\($0.pool)/\($0.backend): \($0.changes.joined(separator: ", ")) (by \($0.provenance.by)\(why))"
      },
      restartRequired: read.node.differences(from: configuration.node))
  }

  private func read(_ candidate: String?) -> ConfigurationReport {
    guard let candidate else { return ConfigurationLoader.load(path: configurationPath) }
    return ConfigurationLoader.parse(files: [SourceFile(path: "candidate", text: candidate)])
  }

  private func configurationError(_ message: String, _ diagnostics: [Diagnostic]) -> ControlError {
    var error = ControlError(
      .unprocessableContent, "configuration-invalid", "\(message); the running configuration is unchanged")
    error.body.diagnostics = diagnostics.map { ConfigurationDiagnostic($0) }
    return error
  }

  // MARK: Checks

  private func pool(_ name: String) throws -> Pool {
    guard let pool = desired.pool(named: name) else {
      throw ControlError.notFound("pool", name, among: desired.pools.map(\.name))
    }
    return pool
  }

  private func configured(_ name: String, in pool: String) throws -> Backend {
    let pool = try self.pool(pool)
    guard let backend = pool.backend(named: name) else {
      throw ControlError.notFound("backend", name, among: pool.backends.map(\.name))
    }
    return backend
  }

  private func state(_ word: String?) throws -> AdministrativeState? {
    guard let word else { return nil }
    guard let state = AdministrativeState(rawValue: word) else {
      let known = AdministrativeState.allCases.map(\.rawValue)
      throw ControlError.invalid(
        "state \"\(word)\" is none of \(known.joined(separator: ", "))",
        suggestion: nearestMatch(to: word, among: known))
    }
    return state
  }

  private func weight(_ weight: Int?) throws -> Weight? {
    guard let weight else { return nil }
    guard (0...65535).contains(weight) else {
      throw ControlError.invalid("weight \(weight) is not within 0…65535")
    }
    return weight
  }

  private func checkName(_ name: String) throws {
    let allowed = { (c: Character) in c.isASCII && (c.isLowercase || c.isNumber || "-._".contains(c)) }
    guard (1...63).contains(name.count), name.allSatisfy(allowed),
      name.first.map({ $0.isLetter || $0.isNumber }) == true
    else {
      throw ControlError.invalid(
        "name \"\(name.prefix(64))\" is not made of a-z, 0-9, '-', '.', '_', beginning with a letter or digit"
      )
    }
  }

  private func provenance(_ requester: Requester, _ reason: String?) -> Provenance {
    Provenance(by: requester.identity, at: Date().timeIntervalSince1970, reason: reason)
  }
}

extension ChangeEffect {
  static let nothing = ChangeEffect(changes: [], pools: [], warnings: [])

  /// - Parameter backends: what changes in backends that stay.
  init(_ effect: Effect, backends: [String]) {
    self.init(
      changes: effect.servicesAdded.map { "+ service \($0)" }
        + effect.servicesRemoved.map { "- service \($0)" }
        + effect.servicesChanged.map { "~ service \($0)" } + effect.backendsAdded.map { "+ backend \($0)" }
        + effect.backendsRemoved.map { "- backend \($0)" } + backends.map { "~ backend \($0)" },
      pools: effect.pools.map { Pool(pool: $0.pool, slotsMoved: $0.slotsMoved, slotsTotal: $0.slotsTotal) },
      warnings: effect.warnings)
  }
}

extension ConfigurationDiagnostic {
  init(_ diagnostic: Diagnostic) {
    self.init(
      file: diagnostic.file, line: diagnostic.line, column: diagnostic.column,
      endColumn: diagnostic.endColumn, severity: diagnostic.severity.rawValue, code: diagnostic.code.rawValue,
      path: diagnostic.path, message: diagnostic.message, expected: diagnostic.expected,
      suggestion: diagnostic.suggestion, rendered: diagnostic.rendered())
  }
}
