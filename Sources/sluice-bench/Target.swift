// SPDX-License-Identifier: Apache-2.0
import BPF
import Dataplane
import Foundation
import LoadBalancing

/// A program under test.
struct Target {
  enum Kind {
    /// This binary's forwarder, or a variant of it.
    case forwarder
    case stripped
    /// The bounce, "headers only" or a peer: what it makes of a frame is not checked.
    case unchecked
  }

  var name: String
  var program: BPFProgram
  var kind = Kind.forwarder
  /// Its counters, where this process may read them.
  var forwarder: Forwarder?
  /// Which part of the flows the flow table must hold when each was seen once; nil where a limit keeps some out.
  var tracked: Double?
  var encapsulation = Encapsulation()

  /// Whether the required ratio to the stripped forwarder applies: only to the forwarder as it normally runs.
  var isJudged: Bool { name == Self.forwarderName }
  static let forwarderName = "forwarder"

  /// Packets that the forwarder counted under a verdict.
  func packets(verdict: String) throws -> Int {
    let verdicts = try forwarder?.reader.verdicts() ?? []
    return Int(verdicts.first { $0.name == verdict }?.count.packets ?? 0)
  }

  init(_ name: String, _ variation: Installation.Variation, pins: String, tracked: Double? = nil) throws {
    let forwarder = try Installation.forwarder(variation, pins: pins)
    (self.name, program, self.forwarder, self.tracked) = (name, forwarder.program, forwarder, tracked)
    encapsulation = Encapsulation(kind: variation.encapsulation, variant: variation.variant)
  }

  init(restricted name: String, object: String?, isIPv6: Bool, pins: String) throws {
    (self.name, program) = (name, try RestrictedForwarder.program(pins: pins, object: object, isIPv6: isIPv6))
  }

  init(strippedForIPv6 isIPv6: Bool) throws {
    (name, program, kind) = (
      StrippedForwarder.name, try StrippedForwarder(isIPv6: isIPv6).program, .stripped
    )
  }

  init(peer id: UInt32) throws {
    program = try BPFProgram.open(id: id)
    (name, kind) = ("peer \(id) \(program.name)", .unchecked)
  }

  init(bounce program: BPFProgram) { (name, self.program, kind) = ("bounce", program, .unchecked) }

  init(headersOnly program: BPFProgram) { (name, self.program, kind) = ("headers only", program, .unchecked) }
}
