// SPDX-License-Identifier: Apache-2.0

/// The monitor's end of the stream. It ensures that an overrun follows dropped events.
struct EventSink {
  let continuation: AsyncStream<NetlinkEvent>.Continuation
  /// Whether an overrun waits for free capacity in the stream.
  private(set) var owesOverrun = false

  init(continuation: AsyncStream<NetlinkEvent>.Continuation) {
    self.continuation = continuation
  }

  /// Passes `event` on, or drops it if an overrun is due.
  mutating func accept(_ event: NetlinkEvent) {
    if owesOverrun { return }
    if case .dropped = continuation.yield(event) { owesOverrun = true }
  }

  /// Records that events are missing. ``settle()`` sends the overrun.
  mutating func recordLoss() {
    owesOverrun = true
  }

  /// Sends a pending overrun as soon as the stream has capacity.
  mutating func settle() {
    guard owesOverrun else { return }
    if case .dropped = continuation.yield(.overrun) { return }
    owesOverrun = false
  }
}
