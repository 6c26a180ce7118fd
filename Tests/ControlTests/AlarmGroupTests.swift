// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Control

@Suite struct AlarmGroupTests {
  private func alarm(_ code: Alarm.Code, _ object: String, since: Int = 0) -> Alarm {
    Alarm(code, object, "\(object): no route", cure: "ip route", since: Sample.after(since))
  }

  @Test func `a few stay apart`() {
    let alarms = ["a", "b", "c"].map { alarm(.noNextHop, $0) } + [alarm(.poolEmpty, "web")]
    let grouped = Alarm.grouped(alarms)
    #expect(grouped.map(\.object) == ["a", "b", "c", "web"] && grouped.allSatisfy { $0.objects.count == 1 })
  }

  @Test func `many of one code are one, with all objects`() throws {
    let many = (1...300).map { alarm(.noNextHop, "web/b\($0)", since: 1000 - $0) }
    let grouped = Alarm.grouped([alarm(.poolEmpty, "web")] + many + [alarm(.overrides, "x")])
    #expect(grouped.map(\.code) == [.poolEmpty, .noNextHop, .overrides])
    #expect(grouped[1].objects == many.map(\.object))
    #expect(grouped[1].since == Sample.after(700), "the oldest")
    #expect(
      grouped[1].message
        == "300 alarms: web/b1: no route; web/b2: no route; web/b3: no route; and 297 more")
  }
}
