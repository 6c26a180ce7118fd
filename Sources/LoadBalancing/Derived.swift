// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// A value that is derived from others when it is first asked for. Copies share it. Whoever changes what it is derived
/// from calls ``forget()``.
///
/// It takes no part in comparing the values that hold it: it follows from them.
public struct Derived<Value: Sendable>: Sendable {
  private final class Storage: Sendable {
    let value = Mutex<Value?>(nil)
  }

  private var storage = Storage()

  public init() {}

  /// The value.
  /// - Parameter make: derives it.
  public func callAsFunction(_ make: () -> Value) -> Value {
    storage.value.withLock { value in
      if let value { return value }
      let made = make()
      value = made
      return made
    }
  }

  /// To be called when the value may be another.
  public mutating func forget() {
    // What was never derived, and is nobody else's, is as good as new.
    if isKnownUniquelyReferenced(&storage), storage.value.withLock({ $0 == nil }) { return }
    storage = Storage()
  }

  /// Whether both are derived from one and the same; false: it is not known.
  public func isShared(with other: Derived) -> Bool { storage === other.storage }
}

extension Derived: Hashable {
  public static func == (left: Derived, right: Derived) -> Bool { true }

  public func hash(into hasher: inout Hasher) {}
}
