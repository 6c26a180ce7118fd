// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BPF
import Dataplane
import LoadBalancing

/// Leaves a forwarder with filled maps behind a pin: for a process with other capabilities, or for the bench of another
/// version, which times it with --peer.
struct LoadForwarder: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load-forwarder", abstract: "Load a forwarder, fill its maps, pin it and print its id.",
    discussion: "The pin keeps it until it is removed.", shouldDisplay: false)

  @Argument(help: "A directory on bpffs that the forwarder may use.") var pins: String
  @Argument(help: "Where to pin the program.") var pin: String
  @Option(help: "An object compiled elsewhere.") var object: String?
  @Flag(help: "100 IPv6 services instead of IPv4.") var ipv6 = false
  @Option(help: "So many backends of the first pool drain.") var draining = 0
  @Flag(help: "Load it as without CAP_PERFMON.") var restricted = false
  @Flag(help: "Every flow is tracked.") var trackAll = false
  @Flag(help: "No limit on new entries of the flow table.") var unlimited = false
  @Flag(help: "Print the program's id.") var printID = false

  func run() throws {
    let variation = Installation.Variation(
      isIPv6: ipv6, mode: trackAll ? .all : .changes, draining: draining,
      code: try object.map { try Variant.code(ofObjectAt: $0) } ?? ForwarderObject.embedded,
      isFullSpeed: !restricted, budgets: unlimited ? .unlimited : nil)
    let program = try Installation.forwarder(variation, pins: pins).program
    try program.pin(at: pin)
    if printID { print(try program.info.id) }
  }
}
