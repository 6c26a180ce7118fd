// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// How a packet's address, protocol and port lead to a service. Beside the services' own keys each VIP has a mark: an
/// entry under ICMP, without a port and without a service.
extension Forwarder {
  /// Marks the addresses of all services, before keys lead to them.
  func markVIPs(of state: InstalledState) throws(DataplaneError) {
    let marked = try inKernel { () throws(BPFError) in try maps.markedVIPs() }
    let vips = Set(state.services.keys.map(\.address))
    setPossibleVIPs(marked.union(vips))
    try inKernel { () throws(BPFError) in
      for address in vips.subtracting(marked).sorted() {
        try maps.setService(
          address, port: 0, protocolNumber: ForwarderMaps.markProtocol(address.family),
          to: UInt32(SERVICE_NONE))
      }
    }
  }

  /// Takes the mark from addresses that no service has any more, be it that a daemon died before it did.
  func unmarkOthers(than state: InstalledState) throws(DataplaneError) {
    let vips = Set(state.services.keys.map(\.address))
    try inKernel { () throws(BPFError) in
      for address in try maps.markedVIPs().subtracting(vips).sorted() {
        try maps.removeService(
          address, port: 0, protocolNumber: ForwarderMaps.markProtocol(address.family))
      }
    }
    setPossibleVIPs(vips)
  }

  /// Counts the addresses of all keys among the possible VIPs: the program is about to see packets, and there may have been
  /// no plan that did so.
  func admitInstalledVIPs() throws(DataplaneError) {
    setPossibleVIPs(try inKernel { () throws(BPFError) in try maps.addresses() })
  }
}

extension ForwarderMaps {
  func setService(
    _ address: IPAddress, port: UInt16, protocolNumber: UInt8, to number: UInt32
  ) throws(BPFError) {
    switch address.family {
    case .v4:
      try services4.update(
        service_key4(address: address, port: port, protocolNumber: protocolNumber), to: number)
    case .v6:
      try services6.update(
        service_key6(address: address, port: port, protocolNumber: protocolNumber), to: number)
    }
  }

  func removeService(_ address: IPAddress, port: UInt16, protocolNumber: UInt8) throws(BPFError) {
    switch address.family {
    case .v4: try services4.delete(service_key4(address: address, port: port, protocolNumber: protocolNumber))
    case .v6: try services6.delete(service_key6(address: address, port: port, protocolNumber: protocolNumber))
    }
  }

  /// The number that a key leads to; nil: none.
  func service(at key: VirtualService.Key) throws(BPFError) -> UInt32? {
    let transport = key.transport.rawValue
    return switch key.address.family {
    case .v4:
      try services4.lookup(
        service_key4(address: key.address, port: key.port, protocolNumber: transport))
    case .v6:
      try services6.lookup(
        service_key6(address: key.address, port: key.port, protocolNumber: transport))
    }
  }

  func markedVIPs() throws(BPFError) -> Set<IPAddress> {
    var marked: Set<IPAddress> = []
    // A mark with a service's number is none.
    try services4.forEachEntry { key, number in
      if number == UInt32(SERVICE_NONE), ServiceEntry(key) == ServiceEntry(markOf: key.vip) {
        marked.insert(key.vip)
      }
    }
    try services6.forEachEntry { key, number in
      if number == UInt32(SERVICE_NONE), ServiceEntry(key) == ServiceEntry(markOf: key.vip) {
        marked.insert(key.vip)
      }
    }
    return marked
  }

  /// The addresses of all keys, marks or not.
  func addresses() throws(BPFError) -> Set<IPAddress> {
    var addresses: Set<IPAddress> = []
    try services4.forEachEntry { key, _ in addresses.insert(key.vip) }
    try services6.forEachEntry { key, _ in addresses.insert(key.vip) }
    return addresses
  }

  /// ICMP of the family.
  static func markProtocol(_ family: AddressFamily) -> UInt8 { family == .v4 ? 1 : 58 }
}
