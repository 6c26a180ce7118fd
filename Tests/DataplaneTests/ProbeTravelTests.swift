// SPDX-License-Identifier: Apache-2.0
import Dataplane
import Glibc
import LoadBalancing
import TestSupport
import Testing

/// Connections of the kernel's own TCP, through the program and its tunnel to a backend that decapsulates.
@Suite("Probe tunnel: real connections", .serialized)
struct ProbeTravelTests {
  /// A forwarder that knows one backend of each family.
  private static func forwarder(_ encapsulation: Encapsulation = Encapsulation()) throws -> (
    Forwarder, InstalledState
  ) {
    let limits = NodeSettings.Limits(
      services: 8, pools: 4, backends: 8, slots: 4 * 251, flows: 1024, pairs: 128)
    let pins = "/sys/fs/bpf/sluice-test-\(getpid())-travel"
    defer { rmdir(pins) }
    let settings = NodeSettings(
      interface: .init(name: "none"), limits: limits, hashSeed: "travel", pinDirectory: pins)
    let forwarder = try Forwarder(settings, isFullSpeed: true)
    let backends = TwoHosts.backendAddresses.map { Backend(name: "\($0.family)", address: $0) }
    let desired = DesiredState(
      services: [
        VirtualService(
          key: .init(address: TwoHosts.vips[0], transport: .tcp, port: 80), name: "www", pool: "web")
      ],
      pools: [Pool(name: "web", backends: backends, tableSize: 251, encapsulation: encapsulation)])
    let plan = try Planner.plan(
      from: InstalledState(), to: desired, limits: limits, now: try forwarder.now(),
      tickLength: forwarder.tickLength)
    let ways = zip(TwoHosts.backendAddresses, TwoHosts.balancerAddresses).map { backend, balancer in
      (backend, NextHopState(mac: TwoHosts.backendMAC, mtu: 1500, sourceAddress: balancer))
    }
    try forwarder.apply(plan, nextHops: Dictionary(uniqueKeysWithValues: ways))
    return (forwarder, plan.result)
  }

  private static let encapsulations = [
    Encapsulation(), Encapsulation(kind: .gue), Encapsulation(kind: .gue, variant: .header),
    Encapsulation(kind: .fou), Encapsulation(kind: .gre),
  ]

  @Test(
    "a connection and its upload arrive, by trains of segments", arguments: ["tc", "generic", "xdp"],
    encapsulations)
  func arrives(_ mode: String, _ encapsulation: Encapsulation) throws {
    let (forwarder, installed) = try Self.forwarder(encapsulation)
    let hosts = try TwoHosts()
    let decapsulation = try Decapsulation(on: hosts.backend, mode: mode)
    defer { decapsulation.end() }
    let tunnel = try ProbeTunnel(forwarder)
    let index = try hosts.index()
    try hosts.balancer.inside { try tunnel.attach(interfaceIndex: index) }

    for (own, vip) in zip(TwoHosts.balancerAddresses, TwoHosts.vips) {
      for backend in installed.backends.values {
        for fromOwnAddress in [false, true] {
          let before = try tunnel.counts()
          let server = try hosts.backend.inside { try Socket(listeningAt: vip) }
          let client = try hosts.balancer.inside { try Socket(boundTo: own) }
          let flow = ProbeFlow(
            source: own, sourcePort: try client.port(), destination: vip, port: try server.port(),
            transport: .tcp)
          try tunnel.steer(flow, to: backend.number, fromOwnAddress: fromOwnAddress)
          let largest = 1500 - backend.encapsulation.overhead(for: backend.address.family)
          let segment = largest - own.family.headerLength - 20
          try client.setLargestSegment(segment)
          #expect(try client.connect(to: vip, server.port(), within: 10))
          let upload = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
          let arrived = try client.send(upload, to: try server.accept(within: 10), within: 20)
          #expect(arrived == upload, "\(vip) by \(backend.address), \(mode)")
          let after = try tunnel.counts()
          let sent = after["sent"]! - before["sent"]!
          #expect(sent > 2 && sent < UInt64(upload.count / segment), "\(sent) packets: no trains")
          #expect(after.filter { $0.key != "sent" } == before.filter { $0.key != "sent" })
          tunnel.release(flow)
        }
      }
    }
  }

  @Test("without a tunnel nothing arrives; a segment that does not fit is counted")
  func lost() throws {
    let (forwarder, installed) = try Self.forwarder()
    let hosts = try TwoHosts()
    let decapsulation = try Decapsulation(on: hosts.backend, mode: "tc")
    defer { decapsulation.end() }
    let tunnel = try ProbeTunnel(forwarder)
    let index = try hosts.index()
    try hosts.balancer.inside { try tunnel.attach(interfaceIndex: index) }
    let (own, vip) = (TwoHosts.balancerAddresses[0], TwoHosts.vips[0])
    let server = try hosts.backend.inside { try Socket(listeningAt: vip) }
    let client = try hosts.balancer.inside { try Socket(boundTo: own) }
    let flow = ProbeFlow(
      source: own, sourcePort: try client.port(), destination: vip, port: try server.port(), transport: .tcp)

    #expect(
      try !client.connect(to: vip, server.port(), within: 1), "its packets go to a router that is not there")
    #expect(try tunnel.counts()["sent"] == 0)
    try tunnel.steer(flow, to: try #require(installed.backends.keys.first), fromOwnAddress: false)
    #expect(try client.awaitConnection(within: 20), "its next SYN arrives")
    let upload = [UInt8](repeating: 1, count: 100_000)
    let arrived = try client.send(upload, to: try server.accept(within: 10), within: 1)
    #expect(arrived.count < upload.count, "no segment was told to leave room for the outer header")
    #expect(try tunnel.counts()["too_big"]! > 0)
  }
}

/// The backend's side, by the command that a backend's operator uses.
private struct Decapsulation {
  private let host: Host
  private let command: String
  private let arguments: [String]

  init(on host: Host, mode: String) throws {
    let name = "sl-test-\(getpid())-probe"
    self.host = host
    command = Self.binaries + "/sluice-backend"
    arguments = ["--interface", "slleg", "--pin-dir", "/sys/fs/bpf/\(name)", "--run-dir", "/run/\(name)"]
    try host.run(
      [command, "up"] + arguments + [
        "--mode", mode, "--encapsulation", "ipip,gue,fou,gre", "--vip", "10.88.0.1,fd88::1", "--allow",
        "10.77.0.1/32,fd77::1/128",
      ])
  }

  func end() { try? host.run([command, "down"] + arguments) }

  private static var binaries: String {
    if let given = getenv("SLUICE_BIN") { return String(cString: given) }
    return #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/.build/debug"
  }
}
