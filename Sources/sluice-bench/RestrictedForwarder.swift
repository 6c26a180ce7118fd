// SPDX-License-Identifier: Apache-2.0
import BPF
import Foundation

/// The forwarder as the kernel has it from a daemon with CAP_BPF and CAP_NET_ADMIN alone: with barriers against
/// speculation. A child process without the other capabilities loads it and hands it over by a pin.
enum RestrictedForwarder {
  static func program(pins: String, object: String?, isIPv6: Bool) throws -> BPFProgram {
    let pin = "\(pins)/restricted"
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
    child.arguments =
      [
        "--inh-caps=-all,+bpf,+net_admin", "--bounding-set=-all,+bpf,+net_admin", "--ambient-caps=-all",
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"), "load-forwarder", pins,
        pin, "--restricted",
      ] + (isIPv6 ? ["--ipv6"] : []) + (object.map { ["--object", $0] } ?? [])
    try child.run()
    child.waitUntilExit()
    defer { unsafe _ = unlink(pin) }
    guard child.terminationStatus == 0 else { throw BenchError("loading without CAP_PERFMON failed") }
    return try BPFProgram.openPinned(path: pin)
  }
}
