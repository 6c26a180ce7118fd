// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import BPF

@Suite struct BPFLinkTests {
  @Test(arguments: [XDPMode.native, .generic])
  func attachedProgramIsSeen(mode: XDPMode) throws {
    let veth = try ScratchInterface()
    let program = try loadProbe().program("probe")
    try veth.inside {
      #expect(try XDPAttachment.current(interfaceIndex: veth.index) == nil)
      let link = try BPFLink.attachXDP(program, interfaceIndex: veth.index, mode: mode)
      let id = try program.info.id
      #expect(
        try XDPAttachment.current(interfaceIndex: veth.index)
          == XDPAttachment(mode: mode, programID: id, programName: "probe"))
      let info = try link.info
      #expect(info.programID == id)
      #expect(info.interfaceIndex == veth.index)
      try link.detach()
      #expect(try XDPAttachment.current(interfaceIndex: veth.index) == nil)
      #expect(try link.info.interfaceIndex == 0)
    }
  }

  @Test func busyErrorNamesTheOtherProgram() throws {
    let veth = try ScratchInterface()
    let object = try loadProbe()
    let (program, other) = (try object.program("probe"), try object.program("probe_other"))
    try veth.inside {
      let link = try BPFLink.attachXDP(program, interfaceIndex: veth.index, mode: .native)
      for mode in [XDPMode.native, .generic] {
        let error = try #require(
          failure { _ = try BPFLink.attachXDP(other, interfaceIndex: veth.index, mode: mode) })
        #expect(error.operation == .attach)
        #expect(error.subject == veth.name)
        let id = try program.info.id
        #expect(error.detail == "XDP program 'probe' (id \(id), native) is attached already")
      }
      try link.detach()
    }
  }

  @Test func linkExchangesItsProgram() throws {
    let veth = try ScratchInterface()
    let object = try loadProbe()
    let (program, other) = (try object.program("probe"), try object.program("probe_other"))
    try veth.inside {
      let link = try BPFLink.attachXDP(program, interfaceIndex: veth.index, mode: .native)
      try link.update(program: other)
      #expect(try link.info.programID == other.info.id)
      let error = failure { try link.update(program: other, replacing: program) }
      #expect(error?.errno == EPERM)
      #expect(error?.detail == "'probe' is not the program attached now")
      try link.update(program: program, replacing: other)
      #expect(try link.info.programID == program.info.id)
    }
  }

  @Test func linkEndsWithItsLastHandle() throws {
    let veth = try ScratchInterface()
    let program = try loadProbe().program("probe")
    try veth.inside {
      do {
        let link = try BPFLink.attachXDP(program, interfaceIndex: veth.index, mode: .native)
        _ = link
      }
      #expect(try XDPAttachment.current(interfaceIndex: veth.index) == nil)
    }
  }

  @Test func pinnedLinkOutlivesItsHandle() throws {
    let veth = try ScratchInterface()
    let folder = try PinFolder()
    let path = folder.file("link")
    let program = try loadProbe().program("probe")
    try veth.inside {
      try BPFLink.attachXDP(program, interfaceIndex: veth.index, mode: .native).pin(at: path)
      #expect(try XDPAttachment.current(interfaceIndex: veth.index)?.programName == "probe")
      let link = try BPFLink.openPinned(path: path)
      #expect(try link.info.interfaceIndex == veth.index)
      try link.detach()
    }
  }

  @Test(arguments: [TCDirection.ingress, .egress])
  func trafficControlLinkIsSeen(_ direction: TCDirection) throws {
    let veth = try ScratchInterface()
    let program = try loadProbe().program("probe_tc")
    try veth.inside {
      let link = try BPFLink.attachTC(program, interfaceIndex: veth.index, direction: direction)
      #expect(try link.info.programID == program.info.id)
      #expect(try link.info.interfaceIndex == veth.index)
      try link.detach()
      #expect(try link.info.interfaceIndex == 0)
    }
  }

  @Test func laterTrafficControlLinkComesFirstAndEndsWithItsLastHandle() throws {
    let veth = try ScratchInterface()
    // Each ends the packet's way through the hook: of two, only the first meets it.
    let early = try loadProbe()
    let late = try loadProbe()
    func runs(_ object: borrowing LoadedObject) throws -> Bool {
      try object.perCPUMap("probe_tallies", key: UInt32.self, value: UInt32.self).delete(0)
    }
    try veth.inside {
      let below = try BPFLink.attachTC(
        try early.program("probe_tc"), interfaceIndex: veth.index, direction: .egress)
      try veth.sendFrame()
      #expect(try runs(early))
      do {
        let above = try BPFLink.attachTC(
          try late.program("probe_tc"), interfaceIndex: veth.index, direction: .egress)
        try veth.sendFrame()
        #expect(try runs(late))
        #expect(try !runs(early))
        _ = above
      }
      // A command that another test starts at this moment holds a copy of the handle until it runs.
      for _ in 0..<100 where try !runs(early) {
        usleep(20_000)
        _ = try runs(late)
        try veth.sendFrame()
      }
      #expect(try !runs(late), "the last frame met the other program")
      _ = below
    }
  }

  @Test func absentInterfaceIsAnErrorOfTrafficControl() throws {
    let program = try loadProbe().program("probe_tc")
    let error = failure {
      _ = try BPFLink.attachTC(program, interfaceIndex: 999_999, direction: .egress)
    }
    #expect(error?.errno == ENODEV)
    #expect(error?.detail == "this network namespace has no such interface")
    #expect(error?.subject == "tc egress of interface 999999")
  }

  @Test func absentInterfaceIsAnError() throws {
    let program = try loadProbe().program("probe")
    let error = failure { _ = try BPFLink.attachXDP(program, interfaceIndex: 999_999, mode: .native) }
    #expect(error?.detail == "this network namespace has no such interface")
    #expect(error?.subject == "interface 999999")
  }
}
