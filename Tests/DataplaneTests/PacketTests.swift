// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import Glibc
import LoadBalancing
import TestSupport
import Testing

/// Actions that an XDP program may return.
enum Action {
  static let drop: UInt32 = 1
  static let pass: UInt32 = 2
  static let transmit: UInt32 = 3
}

/// Thrown anew to every test that shares a forwarder: a failed `#require` would be reported by the first alone.
struct RootNeeded: Error, CustomStringConvertible {
  var description: String { "loading a BPF program needs root: run the tests with sudo" }
}

/// A forwarder of its own for a suite; needs root.
func makeForwarder(_ scenario: Scenario, generalOnly: Bool = false) throws -> ForwarderFixture {
  guard geteuid() == 0 else { throw RootNeeded() }
  return try ForwarderFixture(scenario, generalOnly: generalOnly)
}

@Suite("Packets", .serialized)
struct PacketTests {
  static let forwarder = Result { try makeForwarder(.standard) }

  @Test("becomes of it what must", arguments: PacketCase.all)
  func becomes(_ packetCase: PacketCase) throws {
    let forwarder = try Self.forwarder.get()
    let frame = packetCase.packet.bytes
    let run = try forwarder.run(frame)

    #expect(
      run.counts.risen == [packetCase.expectation.verdict: .init(packets: 1, bytes: UInt64(frame.count))],
      "one verdict is counted, with the frame's length")
    #expect(run.action == packetCase.expectation.action)
    if let expected = packetCase.expectedOutput(forwarder.scenario) {
      #expect(hex(run.output) == hex(expected))
    }
    let pairs = run.counts.pairs.indices.filter { run.counts.pairs[$0] != .init() }
    #expect(pairs == packetCase.expectedPairs(forwarder.scenario), "a pair of service and backend is counted")
    #expect(try forwarder.flows.entries().isEmpty, "a stable slot keeps no state")
  }

  @Test("every row of the catalogue has a case")
  func everyRow() {
    // P1 and P21 are sweeps over all cases.
    let elsewhere: Set<CatalogueRow> = [.p1, .p21]
    #expect(Set(PacketCase.all.map(\.row)).union(elsewhere) == Set(CatalogueRow.allCases))
    #expect(PacketCase.all.count >= 250)
    #expect(
      Set(PacketCase.all.map(\.testDescription)).count == PacketCase.all.count, "names tell cases apart")
  }
}

extension Expectation {
  var action: UInt32 {
    switch self {
    case .passed: Action.pass
    case .dropped: Action.drop
    case .forwarded, .answered: Action.transmit
    }
  }
}

extension PacketCase {
  /// The frame that must come out, or nil where nobody will see it.
  func expectedOutput(_ scenario: Scenario) -> [UInt8]? {
    switch expectation {
    case .passed: return packet.bytes
    case .dropped: return nil
    case .answered(_, let answer): return answer.bytes
    case .forwarded(let number, let flow):
      let backend = scenario.backend(number)
      let frame = packet.framing(to: backend.nextHop!, from: .balancer)
      return scenario.encapsulated(packet, flow ?? packet.flow!, to: backend, frame: frame)
    }
  }

  func expectedPairs(_ scenario: Scenario) -> [Int] {
    guard case .forwarded(let number, let flow) = expectation else { return [] }
    return [Int(scenario.service(for: flow ?? packet.flow!)!.firstPair) + Int(scenario.backend(number).pair)]
  }
}

/// Octets, so that a difference is found by eye.
func hex(_ octets: [UInt8]) -> String {
  let digits = octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
  return stride(from: 0, to: digits.count, by: 16)
    .map { digits[$0..<min($0 + 16, digits.count)].joined(separator: " ") }.joined(separator: "\n")
}
