// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// A network interface.
public struct Link: Hashable, Sendable {
  /// The number by which everything else names the interface; unique within its namespace.
  public let index: UInt32
  public let name: String
  /// `nil` for interfaces without Ethernet addresses.
  public let hardwareAddress: HardwareAddress?
  /// The longest packet in octets, without Ethernet header.
  public let mtu: UInt32
  /// Whether the interface was switched on (`IFF_UP`).
  public let isUp: Bool
  /// Whether packets can pass now: switched on, with carrier (`IFF_LOWER_UP`) and operational
  /// (`IFF_RUNNING`).
  public let isRunning: Bool
  /// The kind of virtual interface, for example `veth`; `nil` for hardware and loopback.
  public let kind: String?
  /// The interface below this one, or a veth's other end; it may be one of another namespace.
  public let peerIndex: UInt32?
  /// The bridge or bond that this interface is a port of.
  public let masterIndex: UInt32?
  /// The XDP programs on this interface, at most one for each mode.
  public let xdpPrograms: [AttachedXDPProgram]
}

/// An XDP program on an interface.
public struct AttachedXDPProgram: Hashable, Sendable {
  /// The point at which a program runs.
  public enum Mode: String, Hashable, Sendable, CaseIterable {
    /// In the driver, before the kernel's packet buffers.
    case native
    /// In the network stack; works everywhere and is slow.
    case generic
    /// In the network card.
    case offloaded
  }

  public let mode: Mode
  /// The kernel's number of the program, as `bpftool prog` lists it.
  public let programID: UInt32
}

extension Link {
  /// Reads `RTM_NEWLINK` and `RTM_DELLINK`. `nil` for messages of a bridge about its ports, and for malformed
  /// ones.
  init?(_ message: Message) {
    guard let (header, attributes) = message.body(ifinfomsg.self),
      Int32(header.ifi_family) == AF_UNSPEC, header.ifi_index > 0
    else { return nil }
    var name: String?
    var hardwareAddress: HardwareAddress?
    var mtu: UInt32 = 0
    var kind: String?
    var peerIndex: UInt32?
    var masterIndex: UInt32?
    var programs: [AttachedXDPProgram] = []
    for attribute in attributes {
      switch attribute.type {
      case IFLA_IFNAME: name = attribute.text
      case IFLA_ADDRESS: hardwareAddress = attribute.hardwareAddress
      case IFLA_MTU: mtu = attribute.uint32 ?? 0
      case IFLA_LINK: peerIndex = attribute.uint32
      case IFLA_MASTER: masterIndex = attribute.uint32
      case IFLA_LINKINFO: kind = attribute.attributes.first { $0.type == IFLA_INFO_KIND }?.text
      case IFLA_XDP: programs = attribute.attributes.compactMap(AttachedXDPProgram.init)
      default: continue
      }
    }
    guard let name else { return nil }
    let flags = header.ifi_flags
    let running = IFF_UP.rawValue | IFF_LOWER_UP.rawValue | IFF_RUNNING.rawValue
    // Ethernet is also what veth, bridges and bonds are; loopback has six zero octets that address nothing.
    let isEthernet = Int32(header.ifi_type) == ARPHRD_ETHER
    self.init(
      index: UInt32(header.ifi_index), name: name, hardwareAddress: isEthernet ? hardwareAddress : nil,
      mtu: mtu,
      isUp: flags & IFF_UP.rawValue != 0, isRunning: flags & running == running, kind: kind,
      peerIndex: peerIndex == 0 ? nil : peerIndex, masterIndex: masterIndex, xdpPrograms: programs)
  }
}

extension AttachedXDPProgram {
  fileprivate init?(_ attribute: Attribute) {
    switch attribute.type {
    case IFLA_XDP_DRV_PROG_ID: mode = .native
    case IFLA_XDP_SKB_PROG_ID: mode = .generic
    case IFLA_XDP_HW_PROG_ID: mode = .offloaded
    default: return nil
    }
    guard let programID = attribute.uint32 else { return nil }
    self.programID = programID
  }
}

extension NetlinkSocket {
  /// All interfaces of the namespace.
  public mutating func links() throws(NetlinkError) -> [Link] {
    try perform("list", "interfaces", Self.linkRequest(flags: NLM_F_DUMP)).compactMap(Link.init)
  }

  /// The interface with this name or alternative name; `nil` when there is none.
  public mutating func link(named name: String) throws(NetlinkError) -> Link? {
    // The kernel refuses longer names where it expects a primary one.
    let type = name.utf8.count < Int(IF_NAMESIZE) ? IFLA_IFNAME : IFLA_ALT_IFNAME
    var request = Self.linkRequest()
    request.append(type, text: name)
    return try link(request, "interface \(name)")
  }

  /// The interface with this number; `nil` when there is none.
  public mutating func link(index: UInt32) throws(NetlinkError) -> Link? {
    guard let number = Int32(exactly: index), number > 0 else { return nil }
    return try link(Self.linkRequest(index: number), "interface \(index)")
  }

  private mutating func link(_ request: MessageWriter, _ subject: String) throws(NetlinkError) -> Link? {
    do throws(NetlinkError) {
      guard let link = try perform("read", subject, request).first.flatMap(Link.init) else {
        throw NetlinkError(operation: "read", subject: subject, errno: EBADMSG)
      }
      return link
    } catch  where error.errno == ENODEV {
      return nil
    }
  }

  /// A request for one interface, or with `NLM_F_DUMP` for all, without statistics.
  static func linkRequest(index: Int32 = 0, flags: Int32 = NLM_F_ACK) -> MessageWriter {
    var body = ifinfomsg()
    body.ifi_index = index
    var request = MessageWriter(type: RTM_GETLINK, flags: NLM_F_REQUEST | flags, body: body)
    request.append(IFLA_EXT_MASK, UInt32(RTEXT_FILTER_SKIP_STATS))
    return request
  }
}
