// SPDX-License-Identifier: Apache-2.0

/// The monitor's end of the stream: keeps the promise that whatever is dropped has an overrun behind it.
struct EventSink {
  let continuation: AsyncStream<NetlinkEvent>.Continuation
  /// Whether an overrun waits for room in the stream.
  private(set) var owesOverrun = false

  init(continuation: AsyncStream<NetlinkEvent>.Continuation) {
    self.continuation = continuation
  }

  /// Passes `event` on, or counts on the overrun that is due anyway.
  mutating func accept(_ event: NetlinkEvent) {
    if owesOverrun { return }
    if case .dropped = continuation.yield(event) { owesOverrun = true }
  }

  /// Notes that events are missing. The overrun itself is for ``settle()``.
  mutating func noteLoss() {
    owesOverrun = true
  }

  /// Tells the reader of a loss as soon as there is room.
  mutating func settle() {
    guard owesOverrun else { return }
    if case .dropped = continuation.yield(.overrun) { return }
    owesOverrun = false
  }
}
