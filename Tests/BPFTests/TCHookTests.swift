// SPDX-License-Identifier: Apache-2.0
import BPF
import Glibc
import Testing

@Suite struct TCHookTests {
  @Test(arguments: [TCDirection.ingress, .egress])
  func programComesAndGoes(_ direction: TCDirection) throws {
    let veth = try ScratchInterface()
    let program = try loadProbe().program("probe_tc")
    let other = try loadProbe().program("probe_tc")
    let position = TCHook.Position(priority: 77)
    try veth.inside {
      let hook = TCHook(interfaceIndex: veth.index, direction: direction)
      let opposite = TCHook(interfaceIndex: veth.index, direction: direction == .egress ? .ingress : .egress)
      #expect(try hook.programID(at: position) == nil)
      #expect(try hook.create())
      #expect(try !hook.create())
      #expect(try hook.programID(at: position) == nil)
      try hook.attach(program, at: position)
      #expect(try hook.programID(at: position) == program.info.id)
      #expect(try opposite.programID(at: position) == nil)
      #expect(failure { try hook.attach(other, at: position) }?.errno == EEXIST)
      try hook.attach(other, at: position, replacing: true)
      #expect(try hook.programID(at: position) == other.info.id)
      #expect(try hook.detach(position))
      #expect(try !hook.detach(position))
    }
  }
}
