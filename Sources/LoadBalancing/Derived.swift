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
    // A storage without a value that no copy shares can be used again.
    if isKnownUniquelyReferenced(&storage), storage.value.withLock({ $0 == nil }) { return }
    storage = Storage()
  }

  /// Whether both share one storage, so that they are derived from the same. False does not mean that they differ.
  public func isShared(with other: Derived) -> Bool { storage === other.storage }
}

extension Derived: Hashable {
  public static func == (left: Derived, right: Derived) -> Bool { true }

  public func hash(into hasher: inout Hasher) {}
}
