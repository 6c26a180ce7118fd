// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import LoadBalancing
import Testing

@Suite struct RoundTripTests {
  private func expectRoundTrip(_ configuration: Configuration) {
    let text = describe(configuration)
    #expect(!text.contains(configuration.node.hashSeed))
    #expect(parse(text).errors.map(\.code) == [.maskedSeed], "\(parse(text).rendered())")
    let unmasked = text.replacingFirst(
      "\"***************** masked *****************\"", with: "'\(configuration.node.hashSeed)'")
    let report = parse(unmasked)
    #expect(report.configuration == configuration, "\(text)\n\(report.rendered())")
  }

  @Test func good() throws { expectRoundTrip(try #require(parse(goodText).configuration)) }

  @Test(arguments: ["lab.yaml", "sluice.example.yaml"]) func shipped(name: String) throws {
    let path = repository.appending(path: "config/\(name)").path
    expectRoundTrip(try #require(ConfigurationLoader.load(path: path).configuration))
  }

  @Test func generated() throws {
    var random = SplitMix(state: 7)
    for _ in 0..<300 { expectRoundTrip(random.configuration()) }
  }
}

/// A small generator with a fixed sequence.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func pick<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &self)] }

  mutating func configuration() -> Configuration {
    var node = NodeSettings(
      name: pick([nil, "no", "1", "lb-1.example_x"]),
      interface: NodeSettings.Interface(
        name: pick(["eth0", "null", "a\"b", "x#y", "e\\0", "~", "*eth", "0x1"]),
        mode: pick(AttachMode.allCases),
        nextHop: pick([
          .kernel, .gateway(.v4(10, 0, 0, 1)), .gateway(IPAddress("fe80::1") ?? .v4(1, 1, 1, 1)),
          .fixed(mac: HardwareAddress("02:00:00:ab:09:10")!),
        ])),
      hashSeed: pick(["0123456789abcdef", "#: {}[]*&!|>%@ - ", "yes yes yes yes yes"]))
    node.pinDirectory = pick(["/sys/fs/bpf/sluice", "/sys/fs/bpf/a b/#c"])
    node.controlSocket = pick(["/run/s.sock", "/run/a: b"])
    node.controlGroup = pick([nil, "wheel", "No"])
    node.statusGroup = pick([nil, "0"])
    node.statusListen = pick([nil, "127.0.0.1:1", "[::1]:65535"])
    node.limits.flows = Int.random(in: 1024...9999, using: &self)
    var pools = (0..<Int.random(in: 1...3, using: &self)).map { index in
      let backends = (0..<Int.random(in: 0...4, using: &self)).map { number in
        Backend(
          name: pick(["b", "8-", "true"]) + "\(number)",
          address: IPAddress(family: pick([.v4, .v6]), bits: UInt128(0x0A00_0001 + index * 16 + number)),
          weight: Int.random(in: 0...65_535, using: &self), state: pick(AdministrativeState.allCases))
      }
      // A next hop for all packets and one for each backend contradict each other.
      let kinds = Encapsulation.Kind.allCases.filter { $0 != .l2 || node.interface.nextHop == .kernel }
      let encapsulation = Encapsulation(
        kind: pick(kinds), variant: pick([nil, .header, .direct]),
        port: pick([nil, 1, 65_535]), port6: pick([nil, 7000]),
        source4: pick([nil, IPPrefix("10.1.0.0/16"), IPPrefix("10.2.0.1")]),
        source6: pick([nil, IPPrefix("fd00::/32")]))
      return Pool(
        name: pick(["on", "p.", "7"]) + "\(index)", backends: backends, hash: pick(HashFields.allCases),
        tableSize: pick([251, 65_537]), encapsulation: encapsulation, settle: pick([86_400, 90_001]),
        drain: Drain(timeout: pick([3600, 86_400]), quiet: pick([1, 3600])),
        require: pick([.backends(0), .backends(3), .percent(0), .percent(100)]), health: healthPolicy())
    }
    let services = (0..<Int.random(in: 0...4, using: &self)).flatMap { index -> [VirtualService] in
      let vips = [
        IPAddress.v4(192, 0, 2, UInt8(index)), IPAddress(family: .v6, bits: 1 << 100 | UInt128(index)),
      ]
      let start = UInt16.random(in: 1...65_000, using: &self)
      let run = (0..<UInt16.random(in: 0...300, using: &self)).map { start + $0 }
      let tcp: [UInt16] = pick([[], [0], run, Array(run.reversed()), [65_535]])
      let ports = tcp.map { (TransportProtocol.tcp, $0) } + [(.udp, 0), (.udp, 1), (.udp, 2)]
      let affinity = Affinity(
        mode: pick([.changes, .all, .none]), learn: pick([0, 1, 59, 60, 86_400]), tcpIdle: pick([10, 7200]),
        udpIdle: pick([1, 3600]), onGone: pick([.rehash, .reset]))
      let pool = pick(pools).name
      return vips.flatMap { vip in
        ports.map { transport, port in
          let key = VirtualService.Key(address: vip, transport: transport, port: port)
          return VirtualService(key: key, name: "s\(index)", pool: pool, affinity: affinity)
        }
      }
    }
    for index in pools.indices {
      let vips = services.filter { $0.pool == pools[index].name }.map(\.key.address)
      guard pools[index].health.check?.via == .tunnel, let vip = vips.last else { continue }
      pools[index].health.check?.vips = pick([nil, [vip]])
    }
    node.limits.services = 4096
    let packets = PacketPolicy(
      unserved: pick(PacketPolicy.Unserved.allCases), vipSources: pick(PacketPolicy.VIPSources.allCases))
    return Configuration(
      node: node, desired: DesiredState(services: services, pools: pools, packets: packets))
  }
}
