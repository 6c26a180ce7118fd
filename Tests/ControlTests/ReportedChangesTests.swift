// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@testable import Control

/// What followers of events and the log are told of a plan.
@Suite struct ReportedChangesTests {
  struct Step: Sendable, CustomTestStringConvertible {
    var name: String
    var before: [InstalledState.Backend]
    var after: [InstalledState.Backend]
    var change: @Sendable (inout DesiredState) -> Void = { _ in }
    var notices: [String]

    var testDescription: String { name }
  }

  static let steps: [Step] = [
    Step(name: "nothing", before: [Sample.backend(1)], after: [Sample.backend(1)], notices: []),
    Step(
      name: "added", before: [], after: [Sample.backend(1)],
      notices: ["changed | backend web/b1 added 10.0.0.1"]),
    Step(
      name: "leaving", before: [Sample.backend(1)], after: [Sample.backend(1, isLeaving: true)],
      notices: ["changed | backend web/b1 10.0.0.1 leaving"]),
    Step(
      name: "back again", before: [Sample.backend(1, isLeaving: true)], after: [Sample.backend(1)],
      notices: ["changed | backend web/b1 leaving added 10.0.0.1"]),
    Step(
      name: "released", before: [Sample.backend(1, isLeaving: true)], after: [],
      notices: ["changed | backend web/b1 leaving released"]),
    Step(
      name: "cut off", before: [Sample.backend(1)], after: [],
      notices: ["changed | backend web/b1 10.0.0.1 released"]),
    Step(
      name: "drained by hand", before: [Sample.backend(1)], after: [Sample.backend(1, isDraining: true)],
      notices: ["changed | backend web/b1 state ready state drain"]),
    Step(
      name: "another weight", before: [Sample.backend(1)], after: [Sample.backend(1)],
      change: { $0.pools[0].backends[0].weight = 5 },
      notices: ["changed | backend web/b1 weight 100 weight 5"]),
    Step(
      name: "out of use by health", before: [Sample.backend(1)], after: [Sample.backend(1)],
      change: { $0.pools[0].backends[0].isInUse = false }, notices: ["changed"]),
    Step(
      name: "another pool", before: [Sample.backend(1)], after: [Sample.backend(1)],
      change: { $0.pools.append(Pool(name: "voice", backends: [])) }, notices: ["changed"]),
  ]

  @Test(arguments: steps)
  func step(_ step: Step) {
    let (before, after) = (Sample.installed(step.before), Sample.installed(step.after))
    var desired = Sample.desired(after)
    step.change(&desired)
    var changes = ReportedChanges()
    #expect(!changes.hasBegun)
    func report(_ installed: InstalledState, _ desired: DesiredState) -> [Notice] {
      changes.report(
        installed: installed, desired: desired, asked: Provenance(by: "root", at: 0, reason: "why"),
        why: { _ in nil })
    }
    #expect(report(before, Sample.desired(before)).isEmpty, "what a start finds is no change")
    #expect(changes.hasBegun)
    let notices = report(after, desired)
    #expect(notices.map(\.text) == step.notices)
    for event in notices.compactMap(\.event) { #expect(event.by == "root" && event.reason == "why") }
    #expect(report(after, desired).isEmpty, "each change once")
  }

  @Test func `the daemon gives its reason for a release, and is nobody's request`() {
    var changes = ReportedChanges()
    let leaving = Sample.installed([Sample.backend(1, isLeaving: true)])
    func report(_ installed: InstalledState) -> [Notice] {
      changes.report(
        installed: installed, desired: Sample.desired(installed), asked: nil,
        why: { "drain of \($0.name) is over" })
    }
    _ = report(leaving)
    let notices = report(Sample.installed([]))
    #expect(notices.map(\.event?.reason) == ["drain of b1 is over"])
    #expect(notices.map(\.event?.by) == [nil] && notices.map { $0.line?.metadata["by"] } == ["sluiced"])
  }

  @Test func `health says why it takes a backend out of use`() {
    let installed = Sample.installed([Sample.backend(1)])
    let before = Sample.desired(installed)
    var after = before
    after.pools[0].backends[0].isInUse = false
    var changes = ReportedChanges()
    _ = changes.report(installed: installed, desired: before, asked: nil, why: { _ in nil })
    let notices = changes.report(
      installed: installed, desired: after,
      healths: [BackendKey(pool: "web", backend: "b1"): (.down, "connection refused")], asked: nil,
      why: { _ in nil })
    #expect(
      notices.map(\.line?.metadata) == [
        [
          "object": "backend web/b1", "old": "in use", "new": "out of use", "by": "health",
          "reason": "connection refused",
        ]
      ])
  }

  @Test func `a large change has a bounded number of lines, and all its events`() {
    var changes = ReportedChanges()
    _ = changes.report(
      installed: Sample.installed([]), desired: DesiredState(), asked: nil, why: { _ in nil })
    let many = Sample.installed((1...500).map { Sample.backend($0) })
    let notices = changes.report(
      installed: many, desired: Sample.desired(many), asked: nil, why: { _ in nil })
    #expect(notices.count { $0.event != nil } == 500)
    #expect(notices.count { $0.line != nil } == Notice.mostLines + 1)
    #expect(notices.last?.line?.metadata["object"] == "301 more")
  }
}
