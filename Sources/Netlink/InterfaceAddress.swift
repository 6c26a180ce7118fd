// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// An address that an interface answers for.
public struct InterfaceAddress: Hashable, Sendable {
  public let interfaceIndex: UInt32
  public let address: IPAddress
  /// How many leading bits name the link's network: 0 to 32, or to 128.
  public let prefixLength: UInt8

  public init(interfaceIndex: UInt32, address: IPAddress, prefixLength: UInt8) {
    self.interfaceIndex = interfaceIndex
    self.address = address
    self.prefixLength = prefixLength
  }
}

extension InterfaceAddress {
  /// Reads `RTM_NEWADDR` and `RTM_DELADDR`; `nil` when it is malformed or of another family.
  init?(_ message: Message) {
    guard let (header, attributes) = message.body(ifaddrmsg.self),
      let family = AddressFamily(socketFamily: header.ifa_family)
    else { return nil }
    var own: IPAddress?
    var address: IPAddress?
    for attribute in attributes {
      switch attribute.type {
      case IFA_LOCAL: own = attribute.address(family)
      case IFA_ADDRESS: address = attribute.address(family)
      default: continue
      }
    }
    // On a point-to-point link IFA_ADDRESS is the other end's.
    guard let address = own ?? address else { return nil }
    self.init(interfaceIndex: header.ifa_index, address: address, prefixLength: header.ifa_prefixlen)
  }

  fileprivate var subject: String { "address \(address)/\(prefixLength) on interface \(interfaceIndex)" }
}

extension NetlinkSocket {
  /// The addresses of both families on an interface.
  public mutating func addresses(interfaceIndex: UInt32) throws(NetlinkError) -> [InterfaceAddress] {
    var body = ifaddrmsg()
    body.ifa_index = interfaceIndex
    let request = MessageWriter(type: RTM_GETADDR, flags: NLM_F_REQUEST | NLM_F_DUMP, body: body)
    // A kernel without strict checking ignores the filter.
    return try perform("list", "addresses on interface \(interfaceIndex)", request)
      .compactMap(InterfaceAddress.init).filter { $0.interfaceIndex == interfaceIndex }
  }

  /// Gives an address to an interface. IPv6 is added without duplicate address detection, which would keep it
  /// from use for a second; even so a worker of the kernel makes it usable some milliseconds after this
  /// returns.
  ///
  /// - Returns: `false` when the interface has it already; nothing was changed then. For IPv6 the kernel
  ///   compares the address alone, so an existing one may have another prefix length.
  @discardableResult
  public mutating func addAddress(_ address: InterfaceAddress) throws(NetlinkError) -> Bool {
    let request = Self.addressRequest(RTM_NEWADDR, address, flags: NLM_F_CREATE | NLM_F_EXCL)
    do throws(NetlinkError) {
      try perform("add", address.subject, request)
      return true
    } catch  where error.errno == EEXIST {
      return false
    }
  }

  /// Takes an address from an interface.
  ///
  /// - Returns: `false` when the interface did not have it.
  @discardableResult
  public mutating func removeAddress(_ address: InterfaceAddress) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      try perform("remove", address.subject, Self.addressRequest(RTM_DELADDR, address))
      return true
    } catch  where error.errno == EADDRNOTAVAIL {
      return false
    }
  }

  static func addressRequest(_ type: Int, _ address: InterfaceAddress, flags: Int32 = 0) -> MessageWriter {
    var body = ifaddrmsg()
    body.ifa_family = UInt8(address.address.family.socketFamily)
    body.ifa_prefixlen = address.prefixLength
    body.ifa_flags = address.address.family == .v6 ? UInt8(IFA_F_NODAD) : 0
    body.ifa_index = address.interfaceIndex
    var request = MessageWriter(type: type, flags: NLM_F_REQUEST | NLM_F_ACK | flags, body: body)
    request.append(IFA_LOCAL, octets: address.address.octets)
    request.append(IFA_ADDRESS, octets: address.address.octets)
    return request
  }
}
