// SPDX-License-Identifier: Apache-2.0
public import BPF
internal import Glibc
public import LoadBalancing

/// Why the data plane could not be brought to a state, with what to do about it.
public enum DataplaneError: Error, Sendable, CustomStringConvertible {
  /// A system call failed. Steps of a plan that came before it are in force.
  case kernel(BPFError)
  /// What was written is not what is read back.
  case readBack(String)
  /// A limit was lowered below what is in use; nothing was changed.
  case limitBelowUse(limit: String, value: Int, needed: Int)
  /// The pin directory cannot be used.
  case pins(path: String, reason: String)
  /// Another process uses the pin directory; `by` is its process id where the kernel shows it.
  case pinsHeld(path: String, by: Int32?)
  /// A probe is for a backend that no number stands for.
  case unknownBackend(BackendNumber)
  /// The probes' program cannot see what leaves an interface.
  case egress(BPFError)

  public var description: String {
    switch self {
    case .kernel(let error): "\(error)"
    case .readBack(let what):
      "\(what) was written but reads back differently: another process writes Sluice's maps"
    case .limitBelowUse(let limit, let value, let needed):
      "limits.\(limit) is \(value), but \(needed) are in use: set it to \(needed) or more. What forwards goes on"
    case .pins(let path, let reason): "\(path): \(reason)"
    case .pinsHeld(let path, let holder):
      "\(holder.map { "process \($0)" } ?? "another process") uses the pins in \(path)"
    case .unknownBackend(let number): "no backend has the number \(number)"
    case .egress(let error) where error.errno == EPERM:
      "probes cannot leave through the tunnel: before Linux 6.6 their program is attached with CAP_NET_ADMIN, which "
        + "sluiced gives up once it has started. Restart sluiced (\(error))"
    case .egress(let error): "probes cannot leave through the tunnel: \(error)"
    }
  }
}

/// Runs kernel work, so that callers see one error type.
func inKernel<Result: ~Copyable>(_ body: () throws(BPFError) -> Result) throws(DataplaneError) -> Result {
  do throws(BPFError) { return try body() } catch { throw .kernel(error) }
}
