// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BPF
import Dataplane
import Foundation
import LoadBalancing

/// The forwarder as the kernel has it from a daemon with CAP_BPF and CAP_NET_ADMIN alone: with barriers against
/// speculation. A child process without the other capabilities loads it and hands it over by a pin.
enum RestrictedForwarder {
  static func program(pins: String, object: String?) throws -> BPFProgram {
    let pin = "\(pins)/restricted"
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
    child.arguments =
      [
        "--inh-caps=-all,+bpf,+net_admin", "--bounding-set=-all,+bpf,+net_admin", "--ambient-caps=-all",
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"), "load-restricted", pins,
        pin,
      ] + (object.map { [$0] } ?? [])
    try child.run()
    child.waitUntilExit()
    defer { unsafe _ = unlink(pin) }
    guard child.terminationStatus == 0 else { throw BenchError("loading without CAP_PERFMON failed") }
    return try BPFProgram.openPinned(path: pin)
  }
}

struct LoadRestricted: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load-restricted", abstract: "Load a forwarder, fill its maps and pin it.",
    shouldDisplay: false)

  @Argument var pins: String
  @Argument var pin: String
  @Argument var object: String?

  func run() throws {
    let variation = Installation.Variation(
      code: try object.map { try Variant.code(ofObjectAt: $0) } ?? ForwarderObject.embedded)
    try Installation.forwarder(variation, pins: pins).program.pin(at: pin)
  }
}
