// SPDX-License-Identifier: Apache-2.0
internal import CNetlink

/// A change in the kernel's network configuration.
public enum NetlinkEvent: Hashable, Sendable {
  /// An interface appeared, changed or went; the value is its last state.
  case link(Link, removed: Bool)
  /// A neighbour entry appeared, changed or went; the value is its last state.
  case neighbour(Neighbour, removed: Bool)
  /// Routes changed: query those of interest again. One event may stand for many changes.
  case routesChanged
  /// Addresses changed: read those of interest again. One event may stand for many changes.
  case addressesChanged
  /// Events were lost: read everything again.
  case overrun
}

extension NetlinkEvent {
  /// `nil` for messages of no interest here.
  init?(_ message: Message) {
    switch message.type {
    case RTM_NEWLINK, RTM_DELLINK:
      guard let link = Link(message) else { return nil }
      self = .link(link, removed: message.type == RTM_DELLINK)
    case RTM_NEWNEIGH, RTM_DELNEIGH:
      guard let neighbour = Neighbour(message) else { return nil }
      self = .neighbour(neighbour, removed: message.type == RTM_DELNEIGH)
    case RTM_NEWROUTE, RTM_DELROUTE:
      self = .routesChanged
    case RTM_NEWADDR, RTM_DELADDR:
      self = .addressesChanged
    default:
      return nil
    }
  }
}
