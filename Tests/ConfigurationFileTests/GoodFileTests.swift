// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import LoadBalancing
import Testing

@Suite struct GoodFileTests {
  @Test func everyKeyArrives() throws {
    let report = parse(goodText)
    #expect(report.diagnostics.map { $0.rendered() } == [])
    let configuration = try #require(report.configuration)
    let node = configuration.node
    #expect(node.name == "lb1")
    #expect(node.interface == NodeSettings.Interface(name: "eth0", mode: .auto, nextHop: .kernel))
    #expect(node.hashSeed == "a secret of the tests")
    #expect(
      node.limits
        == NodeSettings.Limits(services: 64, pools: 8, backends: 16, slots: 200_000, flows: 4096, pairs: 512))
    #expect(node.controlGroup == "sluice-admin")
    #expect(node.statusGroup == nil)
    #expect(node.statusListen == "127.0.0.1:9870")
    let web = try #require(configuration.desired.pool(named: "web"))
    #expect(web.encapsulation.source4 == IPPrefix("10.255.0.0/16"), "from the defaults")
    #expect(web.encapsulation.source6 == IPPrefix("fd00:255::/64"))
    #expect(web.backends.map(\.state) == [.ready, .drain])
    #expect(web.backends.map(\.weight) == [100, 50])
    #expect(web.settle == 10_800)
    #expect(web.drain == Drain(timeout: 1200, quiet: 90))
    #expect(web.require == .percent(50))
    let dns = try #require(configuration.desired.pool(named: "dns"))
    #expect(dns.tableSize == 1009)
    #expect((dns.settle, dns.require) == (7200, .backends(0)))
    #expect(dns.drain == Drain())
    let services = configuration.desired.services
    #expect(services.count == 2 * 3 + 6)
    #expect(
      services[0].affinity == Affinity(mode: .all, learn: 7200, tcpIdle: 3600, udpIdle: 30, onGone: .reset))
    let dnsKeys = services.filter { $0.name == "dns" }.map(\.key.description)
    #expect(
      dnsKeys == [
        "192.0.2.53:53/udp", "192.0.2.53:5300/udp", "192.0.2.53:5301/udp", "192.0.2.53:5302/udp",
        "192.0.2.53:5303/udp", "192.0.2.53:any/tcp",
      ])
  }

  @Test func packets() throws {
    #expect(parse(goodText).configuration?.desired.packets == PacketPolicy())
    let text = goodText.replacingFirst(
      "limits:", with: "packets: { unserved: drop, vip_sources: accept }\nlimits:")
    let wanted = PacketPolicy(unserved: .drop, vipSources: .accept)
    #expect(parse(text).configuration?.desired.packets == wanted)
  }

  @Test func defaultsAreTheTypesOwn() throws {
    let report = parse("version: 1\ninterfaces: [{ name: eth0 }]\nhash_seed: a secret of the tests\n")
    let node = try #require(report.configuration?.node)
    #expect(node == NodeSettings(interface: .init(name: "eth0"), hashSeed: "a secret of the tests"))
  }

  @Test func valuesAreTypedBySchemaNotByYAML() throws {
    // To YAML 1.1 these are a base-60 integer, a boolean, a float and a null.
    let text = """
      version: "1"
      interfaces: [{ name: 1e3, next_hop: 02:11:22:33:44:55 }]
      hash_seed: 0123456789012345
      pools:
        no: { backends: [{ name: y, address: 1:2:3:4:5:6:7:8 }] }
      services: [{ name: 0x10, vips: [2001:db8::1], ports: [80/tcp], pool: no }]
      """
    let configuration = try #require(parse(text).configuration)
    #expect(configuration.node.interface.nextHop == .fixed(mac: HardwareAddress("02:11:22:33:44:55")!))
    #expect(configuration.node.interface.name == "1e3")
    #expect(configuration.desired.pool(named: "no")?.backends.first?.address == IPAddress("1:2:3:4:5:6:7:8"))
    #expect(configuration.desired.services.map(\.name) == ["0x10"])
  }

  @Test func jsonIsAccepted() throws {
    let text = """
      {"version": 1, "interfaces": [{"name": "eth0", "next_hop": "192.0.2.1"}], "hash_seed": "a secret of the tests",
       "pools": {"web": {"backends": [{"name": "a", "address": "10.0.0.1", "weight": 7}]}},
       "services": [{"name": "web", "vips": ["192.0.2.10"], "ports": ["80/tcp"], "pool": "web"}]}
      """
    let configuration = try #require(parse(text).configuration)
    #expect(configuration.node.interface.nextHop == .gateway(.v4(192, 0, 2, 1)))
    #expect(configuration.desired.pools.first?.backends.first?.weight == 7)
  }

  @Test func anchorsAliasesAndMergeKeys() throws {
    let text =
      goodText
      .replacingFirst(
        "{ name: web1, address: 10.0.0.11, weight: 100,",
        with: "&one { name: web1, address: 10.0.0.11, weight: &w 7,"
      )
      .replacingFirst("weight: 50", with: "weight: *w")
      .replacingFirst("- { name: ns1, address: 10.0.0.53 }", with: "- { <<: *one, name: ns1 }")
    let report = parse(text)
    #expect(report.diagnostics == [])
    let pools = try #require(report.configuration?.desired.pools)
    #expect(pools[0].backends.map(\.weight) == [7, 7])
    #expect(pools[1].backends == [Backend(name: "ns1", address: .v4(10, 0, 0, 11), weight: 7)])
  }

  @Test func sectionsMayBeCommentedOut() {
    let text =
      "version: 1\ninterfaces: [{ name: eth0 }]\nhash_seed: a secret of the tests\npools:\n#  web:\nservices:\n"
    #expect(parse(text).configuration?.desired == DesiredState())
  }

  @Test(arguments: ["\n", "\r\n"], ["", "\u{FEFF}", "---\n"])
  func textConventions(lineBreak: String, start: String) {
    let text = (start + goodText).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(parse(text.joined(separator: lineBreak)).configuration == parse(goodText).configuration)
    let bad = goodText.replacingFirst("weight: 100", with: "weight: 100000")
      .split(separator: "\n", omittingEmptySubsequences: false).joined(separator: lineBreak)
    #expect(parse(bad).diagnostics.map(\.brief) == ["22:51 out-of-range"])
  }

  @Test(arguments: [("lab.yaml", 0), ("sluice.example.yaml", 1)])
  func shippedFile(name: String, warnings: Int) {
    let report = ConfigurationLoader.load(path: repository.appending(path: "config/\(name)").path)
    #expect(report.errors.map { $0.rendered() } == [])
    #expect(report.configuration != nil)
    #expect(report.warnings.count == warnings, "only the example's seed deserves a warning")
  }

  @Test func labRunsAllFourCombinationsOfFamilies() throws {
    let report = ConfigurationLoader.load(path: repository.appending(path: "config/lab.yaml").path)
    let desired = try #require(report.configuration).desired
    let combinations = Set(
      desired.services.flatMap { service in
        (desired.pool(named: service.pool)?.backends ?? []).map {
          [service.key.address.family, $0.address.family]
        }
      })
    #expect(combinations.count == 4)
  }
}
