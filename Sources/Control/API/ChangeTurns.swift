// SPDX-License-Identifier: Apache-2.0

/// Lets changes happen one after the other, in the order in which they were asked for.
///
/// A change waits for next hops between looking at the overrides and replacing them. Were two to overlap there,
/// the second would undo the first, and `If-Match` would compare with a generation that is already gone.
actor ChangeTurns {
  private var isTaken = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func take<Result: Sendable>(_ change: @Sendable () async throws -> Result) async throws -> Result {
    if isTaken {
      await withCheckedContinuation { waiting.append($0) }
    }
    isTaken = true
    defer {
      if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
    }
    return try await change()
  }
}
