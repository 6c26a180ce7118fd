// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// What the kernel knows about how to reach an address on a link (ARP and neighbour discovery).
public struct Neighbour: Hashable, Sendable {
  public let interfaceIndex: UInt32
  public let address: IPAddress
  /// `nil` while it is not known.
  public let hardwareAddress: HardwareAddress?
  public let state: NeighbourState

  /// Where to send frames for the address, as long as the kernel itself would do so.
  public var usableHardwareAddress: HardwareAddress? {
    state.isDisjoint(with: .usable) ? nil : hardwareAddress
  }

  /// Whether the kernel neither has a confirmed address of the neighbour nor is resolving it; then call
  /// ``solicit(_:interfaceIndex:)``.
  public var isUncertain: Bool { state.isDisjoint(with: .attended) }
}

/// The kernel's reachability state of a neighbour. Empty for an entry that was never used.
public struct NeighbourState: OptionSet, Hashable, Sendable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// Asked, not yet answered.
  public static let incomplete = NeighbourState(rawValue: UInt16(NUD_INCOMPLETE))
  /// Confirmed recently.
  public static let reachable = NeighbourState(rawValue: UInt16(NUD_REACHABLE))
  /// Confirmed some time ago; usable, asked again when used.
  public static let stale = NeighbourState(rawValue: UInt16(NUD_STALE))
  /// Used while stale; about to be asked.
  public static let delay = NeighbourState(rawValue: UInt16(NUD_DELAY))
  /// Being asked again; still usable.
  public static let probe = NeighbourState(rawValue: UInt16(NUD_PROBE))
  /// Asked several times and never answered.
  public static let failed = NeighbourState(rawValue: UInt16(NUD_FAILED))
  /// On a link that needs no resolution.
  public static let noARP = NeighbourState(rawValue: UInt16(NUD_NOARP))
  /// Set by the administrator.
  public static let permanent = NeighbourState(rawValue: UInt16(NUD_PERMANENT))

  /// The states in which the kernel sends to the hardware address (its `NUD_VALID`).
  public static let usable: NeighbourState = [.reachable, .stale, .delay, .probe, .noARP, .permanent]

  /// The states in which there is nothing to ask, or the kernel asks already.
  static let attended: NeighbourState = [.incomplete, .reachable, .delay, .probe, .noARP, .permanent]
}

extension Neighbour {
  /// Reads `RTM_NEWNEIGH` and `RTM_DELNEIGH`. `nil` for a bridge's forwarding entries and for malformed
  /// messages.
  init?(_ message: Message) {
    guard let (header, attributes) = message.body(ndmsg.self), header.ndm_ifindex > 0,
      let family = AddressFamily(socketFamily: header.ndm_family)
    else { return nil }
    var address: IPAddress?
    var hardwareAddress: HardwareAddress?
    for attribute in attributes {
      switch attribute.type {
      case NDA_DST: address = attribute.address(family)
      case NDA_LLADDR: hardwareAddress = attribute.hardwareAddress
      default: continue
      }
    }
    guard let address else { return nil }
    self.init(
      interfaceIndex: UInt32(header.ndm_ifindex), address: address, hardwareAddress: hardwareAddress,
      state: NeighbourState(rawValue: header.ndm_state))
  }
}

extension NetlinkSocket {
  /// The neighbours of both families that the kernel knows on an interface.
  public mutating func neighbours(interfaceIndex: UInt32) throws(NetlinkError) -> [Neighbour] {
    var request = MessageWriter(type: RTM_GETNEIGH, flags: NLM_F_REQUEST | NLM_F_DUMP, body: ndmsg())
    request.append(NDA_IFINDEX, interfaceIndex)
    // A kernel without strict checking ignores the filter.
    return try perform("list", "neighbours on interface \(interfaceIndex)", request)
      .compactMap(Neighbour.init).filter { $0.interfaceIndex == interfaceIndex }
  }
}
