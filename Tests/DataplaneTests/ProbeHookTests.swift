// SPDX-License-Identifier: Apache-2.0
import BPF
import Glibc
import TestSupport
import Testing

@testable import Dataplane

/// Where the probes' program is attached, and that it takes no privilege.
@Suite("Probe tunnel: interface", .serialized)
struct ProbeHookTests {
  @Test("a daemon without capabilities follows its interface when it is made again")
  func follows() throws {
    let fixture = try ProbeTunnelFixture()
    let hosts = try TwoHosts()
    let tunnel = fixture.tunnel
    func attach() throws -> UInt32 {
      let index = try hosts.index()
      try hosts.balancer.inside {
        try withoutCapabilities {
          let clsact = TCHook(interfaceIndex: index, direction: .egress)
          precondition((try? clsact.create()) == nil, "the thread has no capability")
          try tunnel.attach(interfaceIndex: index)
          try tunnel.attach(interfaceIndex: index)
        }
      }
      return index
    }
    #expect(tunnel.attachedInterface == nil)
    let first = try attach()
    #expect(tunnel.attachedInterface == first)

    try hosts.balancer.run("ip", "link", "delete", "slleg")
    #expect(tunnel.attachedInterface == nil)
    let error = #expect(throws: DataplaneError.self) {
      try hosts.balancer.inside { try tunnel.attach(interfaceIndex: first) }
    }
    #expect(error?.description.contains("this network namespace has no such interface") == true)

    try hosts.makeLeg()
    let second = try attach()
    #expect(tunnel.attachedInterface == second)
    tunnel.detach()
    #expect(tunnel.attachedInterface == nil)
  }

  @Test("where the kernel has no links the program is a filter, and takes over what a dead daemon left")
  func filter() throws {
    let fixture = try ProbeTunnelFixture()
    let later = try ProbeTunnelFixture()
    let hosts = try TwoHosts()
    let index = try hosts.index()
    try hosts.balancer.inside {
      let left = try PacketHook.attachAsFilter(
        fixture.tunnel.program, interfaceIndex: index, direction: .egress)
      #expect(left.isInForce)
      let hook = try PacketHook.attachAsFilter(
        later.tunnel.program, interfaceIndex: index, direction: .egress)
      #expect(hook.isInForce)
      #expect(!left.isInForce)
      #expect(left.detach(), "what is not its own is none of its business")
      #expect(hook.isInForce)
      #expect(try !withoutCapabilities { hook.detach() })
      #expect(hook.isInForce)
      #expect(hook.detach())
      #expect(!hook.isInForce)
      let again = try PacketHook.attachAsFilter(
        later.tunnel.program, interfaceIndex: index, direction: .egress)
      again.replace(hook)
      #expect(again.isInForce, "what was taken away and is back stays")
      #expect(again.detach())
      let refused = try withoutCapabilities {
        Result {
          try PacketHook.attachAsFilter(later.tunnel.program, interfaceIndex: index, direction: .egress)
        }
      }
      guard case .failure(let error as BPFError) = refused else {
        Issue.record("attached without a capability")
        return
      }
      #expect(DataplaneError.egress(error).description.contains("Restart sluiced"))
    }
  }
}
