// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Dataplane
import Foundation
import LoadBalancing

@testable import Control
@testable import Netlink

/// Small worlds for the subjects of the daemon's state.
enum Sample {
  static let start = Moment(uptime: .seconds(1000), wall: Date(timeIntervalSince1970: 1_800_000_000))
  static let mac = HardwareAddress(bits: 0x02_00_00_00_00_01)
  static let routerMAC = HardwareAddress(bits: 0x02_00_00_00_00_fe)

  static func after(_ seconds: Int) -> Moment { start.advanced(by: .seconds(seconds)) }

  static func link(
    index: UInt32 = 7, name: String = "eth0", mac: HardwareAddress? = mac, mtu: UInt32 = 1500,
    isRunning: Bool = true, programs: [UInt32] = []
  ) -> Link {
    Link(
      index: index, name: name, hardwareAddress: mac, mtu: mtu, isUp: isRunning, isRunning: isRunning,
      kind: nil, peerIndex: nil, masterIndex: nil,
      xdpPrograms: programs.map { AttachedXDPProgram(mode: .native, programID: $0) })
  }

  static func address(_ last: Int) -> IPAddress { IPAddress("10.0.\(last >> 8).\(last & 255)")! }

  static func backend(
    _ number: BackendNumber, pool: String = "web", isLeaving: Bool = false, isDraining: Bool = false
  ) -> InstalledState.Backend {
    InstalledState.Backend(
      number: number, pool: pool, name: "b\(number)", address: address(Int(number)),
      encapsulation: Encapsulation(), isUsable: true, pair: Int(number), isLeaving: isLeaving,
      isDraining: isLeaving || isDraining)
  }

  static func installed(
    _ backends: [InstalledState.Backend], pools: [String] = ["web"]
  ) -> InstalledState {
    let byPool = Dictionary(grouping: backends, by: \.pool)
    return InstalledState(
      backends: Dictionary(uniqueKeysWithValues: backends.map { ($0.number, $0) }),
      pools: Dictionary(
        uniqueKeysWithValues: pools.enumerated().map { index, name in
          let numbers = (byPool[name] ?? []).filter { !$0.isDraining }.map(\.number).sorted()
          let slots = (0..<12).map { slot in
            Slot(current: numbers.isEmpty ? 0 : numbers[slot % numbers.count])
          }
          return (
            name,
            InstalledState.Pool(
              number: index, name: name, hash: .flow, firstSlot: index * 12, slots: slots)
          )
        }))
  }

  static func desired(_ installed: InstalledState) -> DesiredState {
    let backends = Dictionary(grouping: installed.backends.values.filter { !$0.isLeaving }, by: \.pool)
    return DesiredState(
      pools: installed.pools.keys.sorted().map { name in
        Pool(
          name: name,
          backends: (backends[name] ?? []).sorted { $0.number < $1.number }.map {
            Backend(name: $0.name, address: $0.address, state: $0.isDraining ? .drain : .ready)
          }, tableSize: 13)
      })
  }

  static func path(
    via: IPAddress? = IPAddress("10.0.255.254"), mac: HardwareAddress? = routerMAC, mtu: Int = 1500
  )
    -> BackendPath
  {
    BackendPath(
      via: via,
      state: NextHopState(mac: mac, mtu: mtu, sourceAddress: IPAddress("10.0.255.1")),
      trouble: mac == nil ? "next hop does not answer" : nil, isResolved: mac != nil)
  }

  /// A daemon that forwards `installed` and has nothing to report.
  static func snapshot(_ installed: InstalledState = installed([backend(1), backend(2)])) -> Snapshot {
    let desired = desired(installed)
    let node = NodeSettings(interface: NodeSettings.Interface(name: "eth0"), hashSeed: "0123456789abcdef")
    var snapshot = Snapshot(
      at: start,
      process: ProcessFacts(
        configurationPath: "/etc/sluice/sluice.yaml", startedAt: start, version: "0.1.0", isFullSpeed: true,
        hostName: "lb1"),
      configuration: ConfigurationState(
        inForce: Configuration(node: node, desired: desired), loadedAt: start),
      uplinks: uplinks(reaching: installed))
    snapshot.forwarding.installed = installed
    snapshot.forwarding.desired = desired
    snapshot.forwarding.fulfilled = desired
    return snapshot
  }

  static let report = AttachmentReport(
    address: link().hardwareAddress, mode: .native, reason: "auto: the driver runs XDP programs",
    programID: 42, isFullSpeed: true)

  /// Attached to `eth0`, with a path to every installed backend.
  static func uplinks(reaching installed: InstalledState) -> Uplinks {
    var uplinks = Uplinks(NodeSettings.Interface(name: "eth0"), link: link())
    _ = uplinks.attached(.success(report), by: nil)
    _ = uplinks.probeHookAttached(.success(7))
    _ = uplinks.observe(.success(view(reaching: installed)), installed: installed, at: start)
    return uplinks
  }

  static func view(reaching installed: InstalledState, link: Link? = link(programs: [42])) -> NetworkView {
    NetworkView(
      link: link,
      paths: Dictionary(
        installed.backends.values.map { ($0.address, path()) }, uniquingKeysWith: { first, _ in first }),
      sources: [.v4: IPAddress("10.0.255.1")!], probeHookIndex: link?.index)
  }
}

extension Notice {
  /// The message and the event in one line, for comparison.
  var text: String {
    let line = line.map { "\($0.message)" }
    let event = event.map {
      [$0.type, $0.object, $0.old, $0.new].compactMap(\.self).joined(separator: " ")
    }
    return [line, event].compactMap(\.self).joined(separator: " | ")
  }
}
