// SPDX-License-Identifier: Apache-2.0
import BPF
import Glibc
import Testing

@Suite struct BPFProgramTests {
  private let frame = [UInt8](1...64)

  @Test func testRunGivesVerdictAndFrame() throws {
    let run = try loadProbe().program("probe_other").testRun(input: frame)
    #expect(run.returnValue == Verdict.transmit)
    #expect(run.output == [~1] + frame.dropFirst())
  }

  @Test func bufferOfTheCallerIsUsedAgain() throws {
    let program = try loadProbe().program("probe_other")
    var output = [UInt8](repeating: 0xee, count: 100)
    for _ in 0..<3 {
      let outcome = try program.testRun(input: frame, output: &output)
      #expect(outcome.returnValue == Verdict.transmit)
      #expect(outcome.outputCount == 64)
    }
    #expect(output == [~1] + frame.dropFirst() + [UInt8](repeating: 0xee, count: 36))
  }

  @Test func tooSmallBufferIsAnError() throws {
    let program = try loadProbe().program("probe")
    #expect(failure { _ = try program.testRun(input: frame, dataSizeOut: 10) }?.errno == ENOSPC)
    #expect(failure { _ = try program.testRun(input: [1, 2, 3]) }?.operation == .testRun)
  }

  @Test func infoIdentifiesTheProgram() throws {
    let object = try loadProbe()
    let (one, other) = (try object.program("probe").info, try object.program("probe_other").info)
    #expect(one.name == "probe")
    #expect(one.tag.count == 16)
    #expect(one.tag != other.tag)
    #expect(one.id != other.id)
    #expect(try loadProbe().program("probe_other").info.tag == other.tag, "equal code, equal tag")
  }

  @Test func pinnedProgramRuns() throws {
    let folder = try PinFolder()
    let path = folder.file("program")
    try loadProbe().program("probe").pin(at: path)
    let program = try BPFProgram.openPinned(path: path)
    #expect(program.name == "probe")
    #expect(try program.testRun(input: frame).returnValue == Verdict.pass)
  }
}
