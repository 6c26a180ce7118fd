// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Control

@Suite struct AlarmGroupTests {
  private func alarm(_ code: String, _ object: String, since: Double = 0) -> Reconciler.Alarm {
    Reconciler.Alarm(
      code: code, message: "\(object): no route", object: object, objects: [object], cure: "ip route",
      since: Date(timeIntervalSince1970: since))
  }

  @Test func `a few stay apart`() {
    let alarms = ["a", "b", "c"].map { alarm("no-next-hop", $0) } + [alarm("pool-empty", "web")]
    let grouped = Reconciler.Alarm.grouped(alarms)
    #expect(grouped.map(\.object) == ["a", "b", "c", "web"] && grouped.allSatisfy { $0.objects.count == 1 })
  }

  @Test func `many of one code are one, with all objects`() throws {
    let many = (1...300).map { alarm("no-next-hop", "web/b\($0)", since: Double(1000 - $0)) }
    let grouped = Reconciler.Alarm.grouped([alarm("pool-empty", "web")] + many + [alarm("overrides", "x")])
    #expect(grouped.map(\.code) == ["pool-empty", "no-next-hop", "overrides"])
    #expect(grouped[1].objects == many.map(\.object))
    #expect(grouped[1].since == Date(timeIntervalSince1970: 700), "the oldest")
    #expect(
      grouped[1].message
        == "300 alarms: web/b1: no route; web/b2: no route; web/b3: no route; and 297 more")
  }
}
