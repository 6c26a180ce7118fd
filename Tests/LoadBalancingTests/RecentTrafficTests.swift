// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite struct RecentTrafficTests {
  private let web = VirtualService.Key(address: .v4(192, 0, 2, 1), transport: .tcp, port: 80)
  private let dns = VirtualService.Key(address: .v4(192, 0, 2, 1), transport: .udp, port: 53)

  private func traffic(_ totals: [(at: Double, web: UInt64?, backend: UInt64?)]) -> RecentTraffic {
    var traffic = RecentTraffic()
    for (at, packets, backend) in totals {
      var noted = RecentTraffic.Totals(at: at)
      noted.services[web] = packets
      noted.backends[1] = backend
      traffic.note(noted)
    }
    return traffic
  }

  @Test func `a service is in use for five minutes after its last packet`() {
    var steps: [(at: Double, web: UInt64?, backend: UInt64?)] = [(0, 0, 0), (10, 100, 0)]
    #expect(traffic(steps).use(of: web, total: 7) == .recent(perSecond: 10, over: 10))
    for at in stride(from: 20.0, through: 310, by: 10) { steps.append((at, 100, 0)) }
    guard case .recent(let rate, _) = traffic(steps).use(of: web, total: 7) else {
      Issue.record("\(traffic(steps).use(of: web, total: 7))")
      return
    }
    #expect(rate == 0)
    steps.append((320, 100, 0))
    #expect(traffic(steps).use(of: web, total: 7) == .none)
    #expect(traffic(steps).use(of: dns, total: 0) == .none)
  }

  @Test func `packets of before are not known to be old until a daemon has watched long enough`() {
    #expect(traffic([(0, nil, 0), (10, nil, 0)]).use(of: web, total: 7) == .unknown(packets: 7, watched: 10))
    #expect(traffic([(0, nil, 0), (400, nil, 0)]).use(of: web, total: 7) == .none)
    #expect(traffic([(0, nil, 0), (10, nil, 0)]).use(of: web, total: 0) == .none)
  }

  @Test func `a service that comes later is in use with its first packet`() {
    #expect(
      traffic([(0, nil, nil), (10, 5, nil)]).use(of: web, total: 7) == .recent(perSecond: 0.5, over: 10))
  }

  @Test func `a service that is gone and comes back is another one`() {
    #expect(traffic([(0, 0, 0), (10, 5, 0), (20, nil, 0), (400, 0, 0)]).use(of: web, total: 7) == .none)
  }

  @Test func `rates are over the last half minute to minute`() throws {
    var steps: [(at: Double, web: UInt64?, backend: UInt64?)] = []
    // 100 packets/s for two minutes, 10 packets/s after that.
    for at in stride(from: 0, through: 120, by: 10) { steps.append((Double(at), 0, UInt64(at * 100))) }
    #expect(try #require(traffic(steps).rate(of: 1)).perSecond == 100)
    for at in stride(from: 130, through: 240, by: 10) {
      steps.append((Double(at), 0, UInt64(12_000 + (at - 120) * 10)))
    }
    let rate = try #require(traffic(steps).rate(of: 1))
    #expect(rate.perSecond == 10 && (30...60).contains(rate.over), "\(rate)")
  }

  @Test func `a number that is another's now begins anew`() throws {
    #expect(try #require(traffic([(0, 0, 1000), (10, 0, 50)]).rate(of: 1)).perSecond == 5)
    #expect(RecentTraffic().rate(of: 1) == nil)
  }
}
