// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@testable import Control

/// Backends that drain or leave.
@Suite struct DrainingTests {
  private let installed = Sample.installed([
    Sample.backend(1), Sample.backend(2, isDraining: true), Sample.backend(3, isLeaving: true),
  ])
  private let drain: (String) -> Drain = { _ in Drain(timeout: 1000, quiet: 60) }

  private func census(at seconds: Int, live: [BackendNumber: Int] = [:]) -> Census {
    var found = FlowCensus()
    found.live = live
    return Census(at: Sample.after(seconds), found: found)
  }

  @Test func `a drain begins when it is first seen, and ends with what is installed`() {
    var draining = Draining()
    draining.follow(installed, unwritten: 7, at: Sample.start)
    #expect(draining.numbers == [2, 3] && draining.since(1) == nil)
    draining.follow(installed, unwritten: 9, at: Sample.after(10))
    #expect(draining.since(2) == Sample.start)
    #expect(draining.unwritten(sinceDrainOf: 2, total: 12) == 5)
    draining.follow(Sample.installed([Sample.backend(1)]), unwritten: 9, at: Sample.after(20))
    #expect(draining == Draining())
  }

  @Test func `what is not known of unwritten packets is none`() {
    var draining = Draining()
    draining.follow(installed, unwritten: nil, at: Sample.start)
    #expect(draining.unwritten(sinceDrainOf: 2, total: 12) == 0)
    #expect(draining.unwritten(sinceDrainOf: 1, total: 12) == 0)
    // From when it is known on, they count: a start does not know it, and the first plan does.
    draining.follow(installed, unwritten: 7, at: Sample.after(10))
    #expect(draining.unwritten(sinceDrainOf: 2, total: 12) == 5)
  }

  @Test(
    "A leaving backend is released when its drain is over or takes too long",
    arguments: [
      (seconds: 60, live: 0, ended: false), (seconds: 61, live: 0, ended: true),
      (seconds: 1000, live: 1, ended: false), (seconds: 1001, live: 1, ended: true),
    ])
  func expiry(seconds: Int, live: Int, ended: Bool) {
    var draining = Draining()
    draining.follow(installed, unwritten: 0, at: Sample.start)
    let census = census(at: seconds, live: [3: live].filter { $0.value > 0 })
    let expired = draining.expired(in: installed, by: census, drain: drain, at: Sample.after(seconds))
    #expect(expired == (ended ? [3] : []), "only leaving ones")
    let reason = draining.reasonForRelease(
      of: installed.backends[3]!, by: census, drain("web"), at: Sample.after(seconds))
    #expect(reason == (seconds == 61 ? "its drain is over" : "drain timeout of 1000 s"))
    #expect(
      draining.reasonForRelease(of: installed.backends[1]!, by: census, drain("web"), at: Sample.start) == nil
    )
  }

  @Test func `an old census ends no drain`() {
    var draining = Draining()
    draining.follow(installed, unwritten: 0, at: Sample.start)
    #expect(draining.expired(in: installed, by: census(at: 60), drain: drain, at: Sample.after(500)).isEmpty)
    #expect(draining.expired(in: installed, by: nil, drain: drain, at: Sample.after(500)).isEmpty)
  }

  @Test func `the end of a drain is reported once, and that of a leave with its release`() {
    var draining = Draining()
    draining.follow(installed, unwritten: 0, at: Sample.start)
    func ended(_ seconds: Int) -> [String] {
      draining.reportEnded(
        in: installed, by: census(at: seconds), drain: drain, at: Sample.after(seconds)
      ).map(\.text)
    }
    #expect(ended(60) == [])
    #expect(ended(61) == ["changed | backend web/b2 state drain drained"])
    #expect(ended(62) == [])
  }

  @Test func `progress is what the census found, older by its age`() {
    var draining = Draining()
    draining.follow(installed, unwritten: 0, at: Sample.start)
    var census = census(at: 100, live: [2: 3])
    census.found.lastUnknown[2] = 5
    census.found.idle[2] = [1, 400]
    let progress = draining.progress(of: 2, by: census, at: Sample.after(103))
    #expect(progress.flows == 3 && progress.lastNew == 8 && progress.draining == 103)
    #expect(progress.idle == [4, 403] && progress.age == 3)
  }
}
