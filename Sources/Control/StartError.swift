// SPDX-License-Identifier: Apache-2.0
internal import Dataplane

/// Why the daemon does not start.
public struct StartError: Error, CustomStringConvertible {
  public let description: String
  /// Whether another process uses the pins or sockets that this one needs.
  public let isInUseElsewhere: Bool

  init(_ message: String, cure: String?, isInUseElsewhere: Bool = false) {
    description = message + (cure.map { "; \($0)" } ?? "")
    self.isInUseElsewhere = isInUseElsewhere
  }

  /// - Parameter cure: what to do if another process uses the pins.
  init(_ error: DataplaneError, cure: String) {
    if case .pinsHeld(let path, let holder) = error {
      self.init("\(LockHolder(process: holder)) uses the pins in \(path)", cure: cure, isInUseElsewhere: true)
    } else {
      self.init("\(error)", cure: nil)
    }
  }
}
