// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import Foundation
internal import Logging

extension Reconciler {
  /// Makes pins again that somebody removed. An alarm tells of it for an hour, and for as long as they cannot be made.
  func watchPins() {
    do throws(DataplaneError) {
      let wereRemoved = try forwarder.restorePins()
      try lock.renew()
      guard wereRemoved else { return }
      pinTrouble = (Moment(), "somebody removed pins, and they are made again")
    } catch {
      pinTrouble = (Moment(), "somebody removed pins, and they cannot be made again: \(error)")
    }
    logger.error("\(pinTrouble?.what ?? "")", metadata: ["directory": "\(configuration.node.pinDirectory)"])
  }
}
