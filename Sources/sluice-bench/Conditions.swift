// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing

/// What the figures were measured under.
enum Conditions {
  static func now(rounds: Int, runs: Int) -> [String: String] {
    machine.merging([
      "pinned to CPU": line(of: "/proc/thread-self/status", beginning: "Cpus_allowed_list") ?? "unknown",
      "load mode": "with CAP_PERFMON; \"no CAP_PERFMON\": loaded with CAP_BPF and CAP_NET_ADMIN alone",
      "rounds": "\(rounds) of \(runs) packets each, interleaved",
      "changed":
        "so many backends of the pool drain; as large a part of its slots remembers the owner before",
      "stripped":
        "the least that still forwards; \"required\" limits the forwarder's medians to a part of its",
    ]) { $1 }
  }

  static func live(rounds: Int, frames: Int, cpu: Int) -> [String: String] {
    machine.merging([
      "receiving CPU": "\(cpu), by the interface's own thread",
      "rounds": "\(rounds) of \(frames) frames sent each, interleaved; medians",
    ]) { $1 }
  }

  private static var machine: [String: String] {
    [
      "cpu": line(of: "/proc/cpuinfo", beginning: "model name") ?? "unknown",
      "kernel": text("/proc/sys/kernel/osrelease") ?? "unknown",
      "jit": "\(text("/proc/sys/net/core/bpf_jit_enable") ?? "unknown"), hardening "
        + (text("/proc/sys/net/core/bpf_jit_harden") ?? "unknown"),
      "mitigations": mitigations,
      "load average": text("/proc/loadavg") ?? "unknown",
      "date": Date().formatted(.iso8601),
      "installed":
        "\(Installation.services) services on as many pools of \(Installation.backends) backends, "
        + "\(Pool.defaultTableSize) slots each; one service of the other family; traffic to one service, "
        + "except for \"\(Traffic.manyServices.name)\"",
    ]
  }

  /// Of those that cost a packet something: indirect calls and speculation.
  private static var mitigations: String {
    ["spectre_v1", "spectre_v2", "spec_store_bypass", "spec_rstack_overflow", "retbleed"].map { name in
      "\(name): \(text("/sys/devices/system/cpu/vulnerabilities/\(name)") ?? "unknown")"
    }.joined(separator: "; ")
  }

  private static func text(_ path: String) -> String? {
    (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private static func line(of path: String, beginning: String) -> String? {
    text(path)?.split(separator: "\n").first { $0.hasPrefix(beginning) }?.split(separator: ":", maxSplits: 1)
      .last
      .map { $0.trimmingCharacters(in: .whitespaces) }
  }
}
