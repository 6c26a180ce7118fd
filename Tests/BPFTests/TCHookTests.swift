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
    let place = TCHook.Place(priority: 77)
    try veth.inside {
      let hook = TCHook(interfaceIndex: veth.index, direction: direction)
      let opposite = TCHook(interfaceIndex: veth.index, direction: direction == .egress ? .ingress : .egress)
      #expect(try hook.programID(at: place) == nil)
      #expect(try hook.create())
      #expect(try !hook.create())
      #expect(try hook.programID(at: place) == nil)
      try hook.attach(program, at: place)
      #expect(try hook.programID(at: place) == program.info.id)
      #expect(try opposite.programID(at: place) == nil)
      #expect(failure { try hook.attach(other, at: place) }?.errno == EEXIST)
      try hook.attach(other, at: place, replacing: true)
      #expect(try hook.programID(at: place) == other.info.id)
      #expect(try hook.detach(place))
      #expect(try !hook.detach(place))
      try hook.destroy()
      #expect(try hook.create())
    }
  }
}
