// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// What the kernel knows about how to reach an address on a link (ARP and neighbour discovery).
public struct Neighbour: Hashable, Sendable {
  public let interfaceIndex: UInt32
  public let address: NetworkAddress
  /// `nil` while it is not known.
  public let hardwareAddress: HardwareAddress?
  public let state: NeighbourState
  /// Whether the kernel keeps the entry resolved by itself (`NTF_EXT_MANAGED`, Linux 5.16).
  public let isManaged: Bool

  /// Where to send frames for the address, as long as the kernel itself would do so.
  public var usableHardwareAddress: HardwareAddress? {
    state.isDisjoint(with: .usable) ? nil : hardwareAddress
  }
}

/// How sure the kernel is of a neighbour. Empty for an entry that nobody has used yet.
public struct NeighbourState: OptionSet, Hashable, Sendable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// Asked, not yet answered.
  public static let incomplete = NeighbourState(rawValue: UInt16(NUD_INCOMPLETE))
  /// Confirmed lately.
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
}

extension Neighbour {
  /// Reads `RTM_NEWNEIGH` and `RTM_DELNEIGH`. `nil` for a bridge's forwarding entries and for malformed
  /// messages.
  init?(_ message: Message) {
    guard let (header, attributes) = message.body(ndmsg.self), header.ndm_ifindex > 0,
      let family = NetworkAddress.Family(addressFamily: header.ndm_family)
    else { return nil }
    var address: NetworkAddress?
    var hardwareAddress: HardwareAddress?
    var extendedFlags: UInt32 = 0
    for attribute in attributes {
      switch attribute.type {
      case NDA_DST: address = attribute.address(family)
      case NDA_LLADDR: hardwareAddress = attribute.hardwareAddress
      case NDA_FLAGS_EXT: extendedFlags = attribute.uint32 ?? 0
      default: continue
      }
    }
    guard let address else { return nil }
    self.init(
      interfaceIndex: UInt32(header.ndm_ifindex), address: address, hardwareAddress: hardwareAddress,
      state: NeighbourState(rawValue: header.ndm_state),
      isManaged: extendedFlags & UInt32(NTF_EXT_MANAGED) != 0)
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

  /// The entry for one address; `nil` when the kernel has none.
  ///
  /// - Throws: `ENODEV` when the interface is gone.
  public mutating func neighbour(
    _ address: NetworkAddress, interfaceIndex: UInt32
  ) throws(NetlinkError) -> Neighbour? {
    let request = try Self.neighbourRequest(RTM_GETNEIGH, "read", address, interfaceIndex)
    let subject = Self.neighbourSubject(address, interfaceIndex)
    do throws(NetlinkError) {
      guard let neighbour = try perform("read", subject, request).first.flatMap(Neighbour.init) else {
        throw NetlinkError(operation: "read", subject: subject, errno: EBADMSG)
      }
      return neighbour
    } catch  where error.errno == ENOENT {
      return nil
    }
  }

  static func neighbourSubject(_ address: NetworkAddress, _ interfaceIndex: UInt32) -> String {
    "neighbour \(address) on interface \(interfaceIndex)"
  }

  /// A request about one entry.
  ///
  /// - Parameter flags: `NTF_` constants of the entry.
  static func neighbourRequest(
    _ type: Int, _ operation: String, _ address: NetworkAddress, _ interfaceIndex: UInt32,
    messageFlags: Int32 = 0, flags: Int32 = 0
  ) throws(NetlinkError) -> MessageWriter {
    guard let index = Int32(exactly: interfaceIndex), index > 0 else {
      throw NetlinkError(
        operation: operation, subject: neighbourSubject(address, interfaceIndex), errno: ENODEV)
    }
    var body = ndmsg()
    body.ndm_family = address.family.addressFamily
    body.ndm_ifindex = index
    body.ndm_flags = UInt8(flags)
    var request = MessageWriter(type: type, flags: NLM_F_REQUEST | NLM_F_ACK | messageFlags, body: body)
    request.append(NDA_DST, octets: address.octets)
    return request
  }
}
