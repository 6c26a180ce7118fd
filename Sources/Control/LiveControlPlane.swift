// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing
internal import Logging
internal import Probing

/// The daemon, as the control API sees it: changes go through the mailbox, answers are functions of the published
/// snapshot and of counters that are read beside it.
final class LiveControlPlane: ControlPlane {
  let loop: ControlLoop
  let events: EventLog
  let requests = RequestCounts()
  private let reader: ForwarderReader
  private let health: LiveHealth
  private let probeTunnel: ProbeTunnel
  private let configurationPath: String
  /// Computes answers: neither changes nor Swift's cooperative threads wait for them.
  private let answers = Worker("answers")
  /// Reads candidate configurations, which may take their time.
  private let candidates = Worker("candidates")

  init(
    _ loop: ControlLoop, events: EventLog, reader: ForwarderReader, health: LiveHealth,
    probeTunnel: ProbeTunnel, configurationPath: String
  ) {
    self.loop = loop
    self.events = events
    self.reader = reader
    self.health = health
    self.probeTunnel = probeTunnel
    self.configurationPath = configurationPath
  }

  /// How long status and metrics wait for a count of the flow table. It is not taken while a plan is carried out.
  private static let censusPatience = Duration.milliseconds(300)

  var generation: Int { loop.snapshot.configuration.generation }

  // MARK: Reading

  private func read<Answer: Sendable>(
    _ body: @escaping @Sendable (Snapshot, Moment) throws -> Answer
  ) async throws -> Answer {
    try await answers.perform { [loop] in try body(loop.snapshot, .now) }
  }

  private var checks: CheckReading { health.checks?.reading ?? CheckReading() }

  func status() async throws -> Status {
    let snapshot = await loop.freshSnapshot(patience: Self.censusPatience)
    return try await answers.perform { [reader] in snapshot.status(try reader.verdicts(), at: .now) }
  }

  func services() async throws -> [ServiceRow] {
    try await read { [reader] snapshot, _ in snapshot.services(try reader.forwarded(in: snapshot)) }
  }

  func services(named name: String) async throws -> [ServiceRow] {
    try await read { [reader] snapshot, _ in
      try snapshot.services(named: name, try reader.forwarded(in: snapshot))
    }
  }

  func pools() async throws -> [PoolRow] { try await read { snapshot, _ in snapshot.pools() } }

  func backends() async throws -> [BackendRow] {
    try await read { [reader, self] snapshot, now in
      try snapshot.backends(try reader.forwarded(in: snapshot), checks, at: now)
    }
  }

  func backends(of pool: String) async throws -> [BackendRow] {
    try await read { [reader, self] snapshot, now in
      try snapshot.backends(of: pool, try reader.forwarded(in: snapshot, of: pool), checks, at: now)
    }
  }

  func backend(_ name: String, in pool: String) async throws -> BackendRow {
    try await read { [reader, self] snapshot, now in
      try snapshot.backend(
        name, in: pool, try reader.forwarded(in: snapshot, of: pool), checks, at: now)
    }
  }

  func drainStatus(
    of name: String, in pool: String, quiet: Int?, silent: Int?
  ) async throws -> DrainStatus {
    let snapshot = await loop.freshSnapshot(patience: .seconds(5))
    return try await answers.perform { [reader] in
      try snapshot.drainStatus(
        of: name, in: pool, quiet: quiet, silent: silent, try reader.flowEvents(), at: .now)
    }
  }

  func checkRows(of backend: String?, in pool: String?) async throws -> [CheckRow] {
    try await read { [self] snapshot, now in
      try snapshot.checkRows(of: backend, in: pool, checks, at: now)
    }
  }

  func examine(_ name: String, in pool: String, target: String?) async throws -> CheckReport {
    let examination = try Examination(of: name, in: pool, target: target, loop.snapshot, checks)
    guard let prober = health.checks?.prober else { return examination.report }
    return await examination.run(by: prober)
  }

  func metrics() async throws -> String {
    let snapshot = await loop.freshSnapshot(patience: Self.censusPatience)
    return try await answers.perform { [reader, probeTunnel, self] in
      var counters = try reader.forwarded(in: snapshot)
      counters.verdicts = try reader.verdicts()
      counters.flowEvents = try reader.flowEvents()
      counters.probePackets = try probeTunnel.counts()
      let api = Metrics.APIFacts(
        requests: requests.counts, events: events.counts, followers: events.followerCount,
        droppedLogLines: LogQueue.standardError.dropped)
      return snapshot.metrics(counters, checks, api, ProcessUsage.now(), at: .now).text
    }
  }

  func effectiveConfiguration() async throws -> String {
    try await read { snapshot, _ in snapshot.effectiveConfiguration() }
  }

  // MARK: Candidates

  private func load(_ candidate: String?) async throws -> ConfigurationReport {
    try await candidates.perform { [configurationPath] in
      ConfigurationLoader.load(
        path: configurationPath, candidate: candidate, within: ConfigurationLoader.readingTime)
    }
  }

  func checkConfiguration(_ candidate: String?) async throws -> ConfigurationCheck {
    let report = try await load(candidate)
    guard let read = report.configuration else { throw ControlError.invalidConfiguration(report) }
    return ConfigurationCheck(
      services: read.desired.services.count, pools: read.desired.pools.count,
      warnings: report.warnings.map { ConfigurationDiagnostic($0) })
  }

  func diffConfiguration(_ candidate: String?) async throws -> ConfigurationDiff {
    let report = try await load(candidate)
    guard let read = report.configuration else { throw ControlError.invalidConfiguration(report) }
    let snapshot = await loop.freshSnapshot(patience: .seconds(5))
    return try await answers.perform { [reader, loop] in
      let counted = try reader.forwarded(snapshot.forwarding.installed, of: nil)
      do throws(PlanError) {
        return try snapshot.difference(
          to: read, counted: counted, in: loop.turn, tickLength: reader.tickLength)
      } catch {
        throw ControlError.refused(error)
      }
    }
  }

  // MARK: Changing

  func add(
    _ name: String, to pool: String, _ addition: BackendAddition, by requester: Requester,
    _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    try await loop.change(.add(backend: name, pool: pool, addition), by: requester, terms)
  }

  func change(
    _ name: String, in pool: String, _ change: BackendChange, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    try await loop.change(.change(backend: name, pool: pool, change), by: requester, terms)
  }

  func remove(
    _ name: String, from pool: String, reason: String?, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    try await loop.change(.remove(backend: name, pool: pool, reason: reason), by: requester, terms)
  }

  func reloadConfiguration(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply {
    try await loop.change(.reload, by: requester, terms)
  }

  func detachForwarder(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply {
    try await loop.change(.detach, by: requester, terms)
  }

  func attachForwarder(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply {
    try await loop.change(.attach, by: requester, terms)
  }
}

extension ForwarderReader {
  /// What services and backends were sent.
  /// - Parameter pool: nil: all pools.
  fileprivate func forwarded(
    in snapshot: Snapshot, of pool: String? = nil
  ) throws(DataplaneError) -> CounterReading {
    CounterReading(forwarded: try forwarded(snapshot.forwarding.installed, of: pool.map { [$0] }))
  }
}
