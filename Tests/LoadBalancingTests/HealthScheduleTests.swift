// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("When probes are made")
struct HealthScheduleTests {
  static let check = HealthCheck(
    kind: .tcp, interval: .seconds(2), rise: 2, fall: 3, fastInterval: .milliseconds(500), jitter: 0.2)

  static let direct = HealthCheck(kind: .tcp, via: .direct, port: 443, interval: .seconds(2))

  @Test("First probes of 2,000 backends are spread evenly", arguments: ["web", "api-internal", "x"])
  func spread(_ pool: String) {
    expectEvenness(of: DesiredState(pools: [.checked(pool, 2000, Self.direct)]), pool)
  }

  @Test("So are those of one backend at 2,000 VIPs")
  func spreadOverVIPs() {
    var check = Self.check
    check.port = 443
    check.vips = (0..<2000).map { .v4(192, 0, UInt8($0 >> 8), UInt8($0 & 255)) }
    expectEvenness(of: DesiredState(pools: [.checked("web", 1, check)]), "one backend")
  }

  private func expectEvenness(of desired: DesiredState, _ name: String) {
    var board = HealthBoard()
    board.configure(desired, at: .seconds(7)) { _, _ in true }
    #expect(board.jobs.count == 2000)
    var bins = [Int](repeating: 0, count: 100)
    for target in board.jobs.keys {
      let first = board.nextProbe(of: target, begun: nil, at: .seconds(7), random: 0.5) - .seconds(7)
      #expect(first >= .zero && first < .seconds(2))
      bins[Int(first / .milliseconds(20))] += 1
    }
    // χ² with 99 degrees of freedom: mean 99, standard deviation 14. The names are fixed, so that the sum is, too.
    let sum = bins.map { Double(($0 - 20) * ($0 - 20)) / 20 }.reduce(0, +)
    print("spread of first probes of \(name): χ² \(sum), fullest hundredth \(bins.max()!) of 20")
    #expect(sum < 99 + 4 * 14)
  }

  @Test("Jitter only shortens, and by its share at most")
  func jitter() {
    let world = HealthWorld(.checked("web", 1, Self.check))
    func gap(_ random: Double) -> Double {
      world.board.nextProbe(of: world.target("b1"), begun: .seconds(9), at: .seconds(9.1), random: random)
        / .seconds(1) - 9
    }
    #expect(gap(0) == 2)
    #expect(abs(gap(0.5) - 1.8) < 1e-6)
    #expect(gap(0.999) > 1.6)
  }

  @Test("While a change is pending probes follow fast; never before now")
  func fast() {
    var world = HealthWorld(.checked("web", 1, Self.check))
    func gap() -> Duration {
      world.board.nextProbe(of: world.target("b1"), begun: world.now, at: world.now, random: 0) - world.now
    }
    var gaps: [Duration] = [gap()]
    for (second, passes) in [false, false, false, true, true].enumerated() {
      world.probe("b1", passes: passes, at: .seconds(second))
      gaps.append(gap())
    }
    #expect(gaps.map { $0 / .milliseconds(1) } == [2000, 500, 500, 2000, 500, 2000])
    // The probe took longer than the interval.
    #expect(
      world.board.nextProbe(of: world.target("b1"), begun: .zero, at: .seconds(9), random: 0) == .seconds(9))
  }
}
