// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// The hash maps from address, port and protocol to a service's id. Beside the keys of services, each VIP has a mark:
/// an entry with protocol ICMP, port 0 and no service.
extension Forwarder {
  /// Marks the addresses of all services, before their keys are added.
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

  /// Removes the marks of addresses that no service has any more, including marks that a daemon left that died before.
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

  /// Adds the addresses of all keys to the possible VIPs. The program is about to see packets, and there may have been
  /// no plan that added them.
  func admitInstalledVIPs() throws(DataplaneError) {
    setPossibleVIPs(try inKernel { () throws(BPFError) in try maps.addresses() })
  }
}

extension ForwarderMaps {
  func setService(
    _ address: IPAddress, port: UInt16, protocolNumber: UInt8, to id: UInt32
  ) throws(BPFError) {
    switch address.family {
    case .v4:
      try services4.update(
        service_key4(address: address, port: port, protocolNumber: protocolNumber), to: id)
    case .v6:
      try services6.update(
        service_key6(address: address, port: port, protocolNumber: protocolNumber), to: id)
    }
  }

  func removeService(_ address: IPAddress, port: UInt16, protocolNumber: UInt8) throws(BPFError) {
    switch address.family {
    case .v4: try services4.delete(service_key4(address: address, port: port, protocolNumber: protocolNumber))
    case .v6: try services6.delete(service_key6(address: address, port: port, protocolNumber: protocolNumber))
    }
  }

  /// The id that a key has; nil without such a key.
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
    // A mark that has a service's id is damaged.
    try services4.forEachEntry { key, id in
      if id == UInt32(SERVICE_NONE), ServiceEntry(key) == ServiceEntry(markOf: key.vip) {
        marked.insert(key.vip)
      }
    }
    try services6.forEachEntry { key, id in
      if id == UInt32(SERVICE_NONE), ServiceEntry(key) == ServiceEntry(markOf: key.vip) {
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

  /// The number of the family's ICMP.
  static func markProtocol(_ family: AddressFamily) -> UInt8 { family == .v4 ? 1 : 58 }
}
