// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// A key of the service maps: a service's, a VIP's mark, or an unknown one.
struct ServiceEntry: Hashable, CustomStringConvertible {
  let address: IPAddress
  let port: UInt16
  let protocolNumber: UInt8
  /// The octet that is 0 in all keys of the daemon.
  let rest: UInt8

  init(_ key: VirtualService.Key) {
    (address, port, protocolNumber, rest) = (key.address, key.port, key.transport.rawValue, 0)
  }

  init(markOf address: IPAddress) {
    let protocolNumber = ForwarderMaps.markProtocol(address.family)
    (self.address, port, self.protocolNumber, rest) = (address, 0, protocolNumber, 0)
  }

  init(_ key: service_key4) {
    (address, port, protocolNumber, rest) = (key.vip, UInt16(bigEndian: key.port), key.protocol, key.zero)
  }

  init(_ key: service_key6) {
    (address, port, protocolNumber, rest) = (key.vip, UInt16(bigEndian: key.port), key.protocol, key.zero)
  }

  var description: String { "\(address) port \(port) protocol \(protocolNumber)" }
}

extension ForwarderMaps {
  func set(_ entry: ServiceEntry, to id: UInt32) throws(BPFError) {
    try setService(entry.address, port: entry.port, protocolNumber: entry.protocolNumber, to: id)
  }

  func remove(_ entry: ServiceEntry) throws(BPFError) {
    switch entry.address.family {
    case .v4:
      var key = service_key4(
        address: entry.address, port: entry.port, protocolNumber: entry.protocolNumber)
      key.zero = entry.rest
      try services4.delete(key)
    case .v6:
      var key = service_key6(
        address: entry.address, port: entry.port, protocolNumber: entry.protocolNumber)
      key.zero = entry.rest
      try services6.delete(key)
    }
  }
}
