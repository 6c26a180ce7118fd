// SPDX-License-Identifier: Apache-2.0
public import BPF

/// Why the data plane could not be brought to a state, with what to do about it.
public enum DataplaneError: Error, Sendable, CustomStringConvertible {
  /// A system call failed; what was in force before still is.
  case kernel(BPFError)
  /// What was written is not what is read back.
  case readBack(String)
  /// A limit was lowered below what is in use; nothing was changed.
  case limitBelowUse(limit: String, value: Int, needed: Int)
  /// The pin directory cannot be used.
  case pins(path: String, reason: String)

  public var description: String {
    switch self {
    case .kernel(let error): "\(error)"
    case .readBack(let what):
      "\(what) was written but reads back differently: another process writes Sluice's maps"
    case .limitBelowUse(let limit, let value, let needed):
      "limits.\(limit) is \(value), but \(needed) are in use: set it to \(needed) or more. What forwards goes on"
    case .pins(let path, let reason): "\(path): \(reason)"
    }
  }
}

/// Runs kernel work, so that callers see one error type.
func inKernel<Result: ~Copyable>(_ body: () throws(BPFError) -> Result) throws(DataplaneError) -> Result {
  do throws(BPFError) { return try body() } catch { throw .kernel(error) }
}
