// SPDX-License-Identifier: Apache-2.0
import Dataplane
import LoadBalancing
import Testing

@testable import Control
@testable import Netlink

/// One reading of the network on an uplink that forwards: what it leads to.
@Suite struct UplinkTests {
  private static let installed = Sample.installed([Sample.backend(1), Sample.backend(2)])

  struct Transition: Sendable, CustomTestStringConvertible {
    var name: String
    /// What happened before the reading.
    var before: @Sendable (inout Uplinks) -> Void = { _ in }
    var view: NetworkView
    var actions: [UplinkAction] = []
    var notices: [String] = []
    var alarms: [Alarm.Code] = []
    var isForwarding = true

    var testDescription: String { name }
  }

  private static func view(_ link: Link?, _ change: (inout NetworkView) -> Void = { _ in }) -> NetworkView {
    var view = Sample.view(reaching: installed, link: link)
    change(&view)
    return view
  }

  private static func error(_ text: String) -> DataplaneError { .unknownBackend(1) }

  static let transitions: [Transition] = [
    Transition(name: "nothing changed", view: view(Sample.link(programs: [42]))),
    Transition(
      name: "the interface is gone", view: view(nil), actions: [.updateProbePaths],
      notices: ["interface is gone | interface eth0 gone"], alarms: [.interfaceMissing], isForwarding: false),
    Transition(
      name: "it is gone still",
      before: { _ = $0.observe(.success(view(nil)), installed: installed, at: Sample.start) },
      view: view(nil), alarms: [.interfaceMissing], isForwarding: false),
    Transition(
      name: "it is made anew",
      before: { _ = $0.observe(.success(view(nil)), installed: installed, at: Sample.start) },
      view: view(Sample.link(index: 9)) { $0.probeHookIndex = nil },
      actions: [.attachProbeHook(9), .attach(Sample.link(index: 9)), .updateProbePaths]),
    Transition(
      name: "somebody detached the program", view: view(Sample.link()),
      actions: [.attach(Sample.link())]),
    Transition(
      name: "another program is there", view: view(Sample.link(programs: [43])),
      actions: [.attach(Sample.link(programs: [43]))]),
    Transition(
      name: "an operator detached the program", before: { _ = $0.detached(by: Requester(identity: "root")) },
      view: view(Sample.link()), alarms: [.detached], isForwarding: false),
    Transition(
      name: "it was detached and the interface goes",
      before: { _ = $0.detached(by: Requester(identity: "root")) }, view: view(nil),
      actions: [.updateProbePaths], notices: ["interface is gone | interface eth0 gone"],
      alarms: [.detached, .interfaceMissing], isForwarding: false),
    Transition(
      name: "it cannot be attached: tried again at the next reading",
      before: { _ = $0.attached(.failure(error("no")), by: nil) }, view: view(Sample.link()),
      actions: [.attach(Sample.link())], alarms: [.notAttached], isForwarding: false),
    Transition(
      name: "an operator's attach failed: nothing changes",
      before: {
        _ = $0.detached(by: Requester(identity: "root"))
        _ = $0.attached(.failure(error("no")), by: Requester(identity: "root"))
      }, view: view(Sample.link()), alarms: [.detached], isForwarding: false),
    Transition(
      name: "renamed", view: view(Sample.link(name: "wan0", programs: [42])),
      notices: ["interface renamed; forwarding goes on there | interface wan0 name eth0 name wan0"],
      alarms: [.interfaceRenamed]),
    Transition(
      name: "another address",
      view: view(Sample.link(mac: HardwareAddress("02:00:00:00:00:09"), programs: [42])),
      actions: [.setInterfaceAddress(HardwareAddress(bits: 0x02_00_00_00_00_09))],
      notices: [
        "interface address changed | interface eth0 mac 02:00:00:00:00:01 mac 02:00:00:00:00:09"
      ]),
    Transition(
      name: "no carrier", view: view(Sample.link(isRunning: false, programs: [42])),
      actions: [.updateProbePaths], alarms: [.interfaceDown]),
    Transition(
      name: "no Ethernet", view: view(Sample.link(mac: nil, programs: [42])), alarms: [.notEthernet]),
    Transition(
      name: "native mode may be possible after a change of the MTU",
      before: {
        var report = Sample.report
        report.mode = .generic
        _ = $0.attached(.success(report), by: nil)
      }, view: view(Sample.link(mtu: 1400, programs: [42])),
      actions: [.attach(Sample.link(mtu: 1400, programs: [42]))],
      notices: ["trying native mode again"]),
    Transition(
      name: "the programs of probes are gone",
      view: view(Sample.link(programs: [42])) { $0.probeHookIndex = nil },
      actions: [.attachProbeHook(7), .updateProbePaths]),
    Transition(
      name: "a path has another MTU",
      view: view(Sample.link(programs: [42])) { $0.paths[Sample.address(1)] = Sample.path(mtu: 1300) },
      actions: [.setNextHops, .updateProbePaths]),
    Transition(
      name: "a router takes over",
      view: view(Sample.link(programs: [42])) { view in
        for address in view.paths.keys {
          view.paths[address] = Sample.path(mac: HardwareAddress("02:00:00:00:00:fd"))
        }
      }, actions: [.setNextHops, .updateProbePaths],
      notices: [
        "next hop has another link-layer address | interface next hop 10.0.255.254 "
          + "mac 02:00:00:00:00:fe mac 02:00:00:00:00:fd"
      ]),
    Transition(
      name: "routes could not be read: what is known stays",
      view: view(Sample.link(programs: [42])) {
        ($0.pathTrouble, $0.paths, $0.sources) = ("ENOBUFS", [:], [:])
      }, notices: ["routes and neighbours could not be read"]),
    Transition(
      name: "a part of the paths was read: the others stay",
      view: view(Sample.link(programs: [42])) { $0.paths[Sample.address(1)] = nil }),
  ]

  @Test(arguments: transitions)
  func reading(_ transition: Transition) {
    var uplinks = Sample.uplinks(reaching: Self.installed)
    transition.before(&uplinks)
    let (actions, notices) = uplinks.observe(
      .success(transition.view), installed: Self.installed, at: Sample.after(20))
    #expect(actions == transition.actions)
    #expect(notices.map(\.text) == transition.notices)
    #expect(uplinks.alarms.map(\.code) == transition.alarms)
    #expect(uplinks.isForwarding == transition.isForwarding)
  }

  @Test func `a next hop that stops answering keeps its address, and is trouble`() {
    var uplinks = Sample.uplinks(reaching: Self.installed)
    let silent = Self.view(Sample.link(programs: [42])) { view in
      for address in view.paths.keys { view.paths[address] = Sample.path(mac: nil) }
    }
    let (actions, _) = uplinks.observe(.success(silent), installed: Self.installed, at: Sample.after(20))
    #expect(actions == [.setNextHops, .updateProbePaths])
    #expect(uplinks.nextHops[Sample.address(1)]?.mac == Sample.routerMAC)
    #expect(uplinks.all[0].paths[Sample.address(1)]?.trouble != nil)
    #expect(uplinks.unresolved([Sample.address(1)]).isEmpty, "packets are sent there")
  }

  @Test func `an attachment that is under way is not asked for again`() {
    var uplinks = Sample.uplinks(reaching: Self.installed)
    let view = Self.view(Sample.link())
    func actions(at seconds: Int) -> [UplinkAction] {
      uplinks.observe(.success(view), installed: Self.installed, at: Sample.after(seconds)).actions
    }
    #expect(actions(at: 20) == [.attach(Sample.link())])
    #expect(actions(at: 21) == [])
    #expect(actions(at: 26) == [.attach(Sample.link())], "no result came")
    #expect(uplinks.attached(.success(Sample.report), by: nil).notices.count == 1)
    #expect(actions(at: 27) == [.attach(Sample.link())], "it was detached once more")
  }

  @Test func `an address that changes while the program is being attached is set when it is attached`() {
    var uplinks = Sample.uplinks(reaching: Self.installed)
    let other = HardwareAddress(bits: 0x02_00_00_00_00_09)
    func actions(_ link: Link, at seconds: Int) -> [UplinkAction] {
      uplinks.observe(.success(Self.view(link)), installed: Self.installed, at: Sample.after(seconds)).actions
    }
    #expect(actions(Sample.link(), at: 20) == [.attach(Sample.link())])
    #expect(actions(Sample.link(mac: other), at: 21) == [], "the request is under way")
    #expect(uplinks.attached(.success(Sample.report), by: nil).actions == [.setInterfaceAddress(other)])
    #expect(actions(Sample.link(mac: other, programs: [42]), at: 22) == [], "the program has it")
  }

  @Test func `a reading that failed is reported and changes nothing`() {
    var uplinks = Sample.uplinks(reaching: Self.installed)
    let error = NetlinkError(operation: "get", subject: "interface 7", errno: 105)
    let (actions, notices) = uplinks.observe(.failure(error), installed: Self.installed, at: Sample.after(9))
    #expect(actions.isEmpty && notices.map(\.text) == ["the network's state could not be read"])
    #expect(uplinks.isForwarding)
  }

  @Test func `a change learns the paths of what it adds, and no others`() {
    var uplinks = Sample.uplinks(reaching: Self.installed)
    let added = Sample.address(9)
    #expect(uplinks.unresolved([added, Sample.address(1)]) == [added])
    var view = Self.view(Sample.link())
    view.paths = [
      added: Sample.path(), Sample.address(1): Sample.path(mac: HardwareAddress("02:00:00:00:00:01")),
    ]
    uplinks.learn(view)
    #expect(uplinks.unresolved([added]).isEmpty)
    #expect(uplinks.nextHops[Sample.address(1)]?.mac == Sample.routerMAC, "it is judged by observe()")
    #expect(uplinks.isForwarding, "a change looks at no interface")
  }

  @Test func `a start learns where probes leave and what they are sent from`() {
    let installed = Sample.installed([Sample.backend(1)])
    var uplinks = Uplinks(NodeSettings.Interface(name: "eth0"), link: Sample.link())
    #expect(uplinks.probePaths(of: installed, beside: HealthBoard.Remainder()).interfaceIndex == nil)
    uplinks.learn(Sample.view(reaching: installed))
    let update = uplinks.probePaths(of: installed, beside: HealthBoard.Remainder())
    #expect(update.interfaceIndex == 7 && update.trouble == nil)
    #expect(
      update.paths.values.allSatisfy { $0.sources[.v4] == IPAddress("10.0.255.1") && $0.trouble == nil })
  }

  @Test func `a backend without an address to send from is trouble`() {
    let installed = Sample.installed([Sample.backend(1)])
    var uplinks = Sample.uplinks(reaching: installed)
    var view = Sample.view(reaching: installed)
    view.paths[Sample.address(1)]?.state.sourceAddress = nil
    _ = uplinks.observe(.success(view), installed: installed, at: Sample.after(20))
    #expect(
      uplinks.all[0].paths[Sample.address(1)]?.trouble
        == "eth0 has no IPv4 address to send from, and encapsulation.source4 is not set")
  }

  @Test func `without an outer header, a backend behind a router gets nothing`() throws {
    var backend = Sample.backend(1)
    backend.encapsulation = Encapsulation(kind: .l2)
    let installed = Sample.installed([backend])
    func uplinks(_ change: (inout BackendPath) -> Void) -> Uplinks {
      var uplinks = Sample.uplinks(reaching: installed)
      var view = Sample.view(reaching: installed)
      change(&view.paths[backend.address]!)
      _ = uplinks.observe(.success(view), installed: installed, at: Sample.after(20))
      return uplinks
    }
    let router = try #require(IPAddress("10.0.255.254"))
    let behind = uplinks { $0.via = router }
    let trouble =
      "\(backend.address) is not on the link of eth0: its next hop is \(router), and encapsulation l2 needs the backend "
      + "itself"
    #expect(behind.path(to: backend)?.trouble == trouble && behind.path(to: backend)?.state.mac == nil)
    let probe = behind.probePath(to: backend)
    #expect(probe.trouble?.layer == .route && probe.trouble?.reason == trouble)

    let onLink = uplinks {
      $0.via = backend.address
      $0.state.isOnLink = true
      $0.state.sourceAddress = nil
    }
    #expect(
      onLink.path(to: backend)?.trouble == nil && onLink.path(to: backend)?.state.mac == Sample.routerMAC)
    #expect(onLink.probePath(to: backend).innerMTU == 1500)

    // A backend that moves behind a router, which does not answer yet, keeps no other host's address.
    var moved = onLink
    var view = Sample.view(reaching: installed)
    view.paths[backend.address] = Sample.path(mac: nil)
    view.paths[backend.address]?.via = router
    _ = moved.observe(.success(view), installed: installed, at: Sample.after(30))
    #expect(moved.path(to: backend)?.trouble == trouble)
    view.paths[backend.address]?.via = backend.address
    var back = behind
    _ = back.observe(.success(view), installed: installed, at: Sample.after(30))
    #expect(back.path(to: backend)?.state.mac == nil, "what is known is the router's")
  }

  @Test func `probes go where packets go`() throws {
    let leaving = Sample.backend(3, isLeaving: true)
    let installed = Sample.installed([Sample.backend(1), leaving])
    let uplinks = Sample.uplinks(reaching: installed)
    let update = uplinks.probePaths(of: installed, beside: HealthBoard.Remainder())
    #expect(update.interfaceIndex == 7 && update.trouble == nil)
    #expect(Set(update.paths.values.map(\.number)) == [1, 3])
    let path = try #require(update.paths[BackendKey(pool: "web", backend: "b3", leaving: 3)])
    #expect(path.innerMTU == 1480 && path.trouble == nil && path.sources[.v4] == IPAddress("10.0.255.1"))
    #expect(path.standIns[.v4] == IPAddress("10.0.255.254"))
  }

  @Test func `ticks read few paths all at once, and many in turn`() {
    let few = Set((1...512).map(Sample.address))
    var uplinks = Sample.uplinks(reaching: Sample.installed([]))
    #expect(uplinks.addressesDue(of: few) == few)
    let many = (1...3000).map { Sample.backend(BackendNumber($0)) }
    let addresses = Set(many.map(\.address))
    uplinks = Sample.uplinks(reaching: Sample.installed(many))
    let parts = (0..<6).map { _ in uplinks.addressesDue(of: addresses) }
    #expect(parts.allSatisfy { $0.count == 500 })
    #expect(parts.reduce(Set()) { $0.union($1) } == addresses)
    // What is in trouble is read each time.
    uplinks = Sample.uplinks(reaching: Sample.installed([]))
    #expect(uplinks.addressesDue(of: addresses) == addresses)
  }
}
