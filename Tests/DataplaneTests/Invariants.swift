// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import Glibc
import LoadBalancing
import TestSupport
import Testing

/// What holds for every frame, however mangled (P21). Made for millions of frames: it allocates nothing unless it
/// finds a flaw, and reads memory without checks that a debug build would pay dearly for.
struct Invariants {
  /// Frames by what became of them, as seen from outside.
  private(set) var passed: UInt64 = 0
  private(set) var dropped: UInt64 = 0
  private(set) var forwarded: UInt64 = 0
  private(set) var answered: UInt64 = 0
  private(set) var bytes: UInt64 = 0

  /// A usable backend as its frames show it: next hop, family, address, source prefix.
  struct Target {
    var nextHop: UInt64
    var isV4: Bool
    var destination, source: (UInt64, UInt64)
    var mask: UInt64
    var mtu: Int
    var encapsulation: TestEncapsulation
    /// Octets of the outer headers.
    var overhead: Int
  }

  private let targets: [Target]
  private let mac: UInt64

  init(_ scenario: Scenario) {
    mac = scenario.interface
    targets = scenario.backends.filter { $0.isUsable && $0.nextHop != nil && $0.encapsulation != .unknown(9) }
      .map {
        backend in
        let destination = backend.address.octets
        let source = backend.source.octets
        return Target(
          nextHop: backend.nextHop!.word, isV4: backend.address.family == .v4,
          destination: Self.words(destination), source: Self.words(source),
          mask: backend.address.family == .v4
            ? UInt64(backend.entropyMask.bigEndian) : UInt64(backend.entropyMask.bigEndian) << 32,
          mtu: Int(backend.mtu), encapsulation: backend.encapsulation,
          overhead: backend.encapsulation.overhead(to: backend.address.family))
      }
  }

  /// Four or sixteen octets as they lie in memory.
  private static func words(_ octets: [UInt8]) -> (UInt64, UInt64) {
    octets.withUnsafeBytes { bytes in
      bytes.count == 4
        ? (UInt64(bytes.loadUnaligned(as: UInt32.self)), 0)
        : (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }
  }

  /// Counts a frame, and says what is wrong with what came of it; nil: nothing.
  mutating func flaw(
    _ input: [UInt8], _ action: UInt32, _ output: [UInt8], _ outputCount: Int
  ) -> String? {
    bytes += UInt64(input.count)
    return input.withUnsafeBytes { input in
      output.withUnsafeBytes { output in
        check(input.baseAddress!, input.count, action, output.baseAddress!, outputCount)
      }
    }
  }

  private mutating func check(
    _ input: UnsafeRawPointer, _ inputCount: Int, _ action: UInt32, _ output: UnsafeRawPointer,
    _ outputCount: Int
  ) -> String? {
    switch action {
    case Action.drop:
      dropped += 1
      return nil
    case Action.pass:
      passed += 1
      return inputCount == outputCount && memcmp(input, output, inputCount) == 0 ? nil : "passed, but changed"
    case Action.transmit:
      if outputCount < 34 { return "sent, but too short for an IP header" }
      if output.address(at: 6) != mac { return "sent from another address than the interface's" }
      let frame = Frame(input, inputCount)
      if !frame.isTaggedAlike(output) { return "sent with other tags" }
      if let target = targets.first(where: { $0.nextHop == output.address(at: 0) }) {
        forwarded += 1
        return checkForwarded(frame, Frame(output, outputCount), target)
      }
      answered += 1
      return checkAnswer(frame, Frame(output, outputCount))
    default:
      return "action \(action)"
    }
  }

  private func checkForwarded(_ input: Frame, _ output: Frame, _ target: Target) -> String? {
    let innerV4 = input.type == 0x0800
    if !innerV4 && input.type != 0x86dd { return "forwarded, but was no IP" }
    let inner = input.ip
    let outer = output.ip
    let innerLength = innerV4 ? inner.be16(2) : 40 + inner.be16(4)
    let overhead = target.overhead
    if input.frame.address(at: 0) != mac { return "forwarded, but was for another host" }
    if innerLength > input.ipCount { return "forwarded, but longer than its frame" }
    if innerLength + overhead > target.mtu { return "forwarded, but larger than the way's MTU" }
    if innerV4 {
      if inner.byte(0) != 0x45 { return "forwarded, but of wrong version or with options" }
      if inner.be16(6) & 0x3fff != 0 { return "forwarded, but a fragment" }
      if inner.byte(8) == 0 { return "forwarded, but its TTL is over" }
      let network = inner.byte(12)
      if network == 0 || network == 127 || network >= 224 || memcmp(inner + 12, inner + 16, 4) == 0 {
        return "forwarded, but from a source that no client has"
      }
      if inner.byte(9) == 1 && memcmp(inner + 40, inner + 16, 4) != 0 {
        return "forwarded, but an error about what its VIP did not send"
      }
    } else {
      if inner.byte(0) >> 4 != 6 { return "forwarded, but of wrong version" }
      if inner.byte(7) == 0 { return "forwarded, but its hop limit is over" }
      if inner.byte(8) == 0xff || memcmp(inner + 8, inner + 24, 16) == 0 {
        return "forwarded, but from a source that no client has"
      }
      if inner.byte(6) == 58 && memcmp(inner + 56, inner + 24, 16) != 0 {
        return "forwarded, but an error about what its VIP did not send"
      }
    }
    if output.ipCount != input.ipCount + overhead || memcmp(inner, outer + overhead, input.ipCount) != 0 {
      return "forwarded, but the inner packet changed"
    }
    let trafficClass = innerV4 ? inner.byte(1) : UInt8(truncatingIfNeeded: inner.be16(0) >> 4)
    return target.flaw(of: output, around: innerLength, trafficClass, isV4: innerV4)
  }

  /// An answer goes to who asked, from whom was asked, and is hardly larger than the question.
  private func checkAnswer(_ input: Frame, _ output: Frame) -> String? {
    if output.frame.address(at: 0) != input.frame.address(at: 6) {
      return "answered to another link-layer address"
    }
    if output.type != input.type { return "answered in another family" }
    if input.type == 0x0800 {
      if output.ipCount > input.ipCount + 28 { return "an answer larger than its question" }
      if memcmp(output.ip + 12, input.ip + 16, 4) != 0 || memcmp(output.ip + 16, input.ip + 12, 4) != 0 {
        return "answered between others"
      }
      if output.ip.byte(0) != 0x45 || output.ip.be16(2) > output.ipCount { return "an answer's length" }
      return output.ip.checksum(20) == 0 ? nil : "an answer's checksum"
    }
    if output.ipCount > input.ipCount + 48 { return "an answer larger than its question" }
    if memcmp(output.ip + 8, input.ip + 24, 16) != 0 || memcmp(output.ip + 24, input.ip + 8, 16) != 0 {
      return "answered between others"
    }
    return 40 + output.ip.be16(4) <= output.ipCount ? nil : "an answer's length"
  }

  // MARK: - Sums

  /// Each frame got one verdict, of the class that its action shows, with its length.
  func expectConservation(_ counts: Counts, sourceLocation: SourceLocation = #_sourceLocation) {
    func sum(_ first: verdict, through last: verdict) -> UInt64 {
      counts.verdicts[Int(first.rawValue)...Int(last.rawValue)].reduce(0) { $0 + $1.packets }
    }
    #expect(counts[.VERDICT_FORWARDED].packets == forwarded, sourceLocation: sourceLocation)
    #expect(
      sum(.VERDICT_PASSED_NOT_IP, through: .VERDICT_PASSED_UNSERVED) == passed, sourceLocation: sourceLocation
    )
    #expect(
      sum(.VERDICT_ANSWERED_ECHO, through: .VERDICT_ANSWERED_UNSERVED) == answered,
      sourceLocation: sourceLocation)
    #expect(
      sum(.VERDICT_DROPPED_MALFORMED, through: .VERDICT_DROPPED_INVALID_STATE) == dropped,
      sourceLocation: sourceLocation)
    #expect(counts.verdicts.reduce(0) { $0 + $1.bytes } == bytes, sourceLocation: sourceLocation)
    #expect(counts.pairs.reduce(0) { $0 + $1.packets } == forwarded, sourceLocation: sourceLocation)
  }

  /// What became of how many, for people.
  func summary(_ counts: Counts) -> String {
    let verdicts = counts.risen.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { "\(name(of: $0.key)) \($0.value.packets)" }
    return "\(passed + dropped + forwarded + answered) frames: \(verdicts.joined(separator: ", "))"
  }
}

/// The enumerators' names, for output.
private func name(of verdict: verdict) -> String {
  [
    "forwarded", "passed_not_ip", "passed_other_host", "passed_not_ours", "passed_unserved", "answered_echo",
    "answered_too_big",
    "answered_reset", "answered_unserved",
    "dropped_malformed", "dropped_truncated", "dropped_ip_options", "dropped_fragment",
    "dropped_extension_headers",
    "dropped_ttl_expired", "dropped_martian_source", "dropped_too_big", "dropped_rate_limited",
    "dropped_icmp_unrelated", "dropped_icmp_mtu", "dropped_unserved", "dropped_no_backend",
    "dropped_no_next_hop",
    "dropped_encapsulation", "dropped_invalid_state",
  ][Int(verdict.rawValue)]
}
