// SPDX-License-Identifier: Apache-2.0

/// When the start is complete.
extension Reconciler {
  /// Whether every service is forwarded with the pool that the configuration gives it.
  var isReady: Bool { isForwarding && isFulfilled && health.awaited.isEmpty }

  /// To be called when the control socket answers.
  func controlIsServed() {
    isControlServed = true
    reportReady()
  }

  /// Tells the service manager, once, that the start is complete: where nothing was forwarded before, that is after the
  /// first health verdicts.
  func reportReady() {
    guard isControlServed, !isReadyReported, isReady else { return }
    isReadyReported = true
    SystemdNotification.ready()
  }
}
