// SPDX-License-Identifier: Apache-2.0
public import CForwardingABI
public import LoadBalancing

/// A flow as the forwarder knows it: from a client to a virtual service.
public struct Flow: Hashable, Sendable {
  public var client, vip: IPAddress
  public var clientPort, servicePort: UInt16
  public var transport: IPProtocol

  public init(
    from client: IPAddress, _ clientPort: UInt16, to vip: IPAddress, _ servicePort: UInt16,
    _ transport: IPProtocol = .tcp
  ) {
    (self.client, self.clientPort) = (client, clientPort)
    (self.vip, self.servicePort) = (vip, servicePort)
    self.transport = transport
  }

  /// The hash by the ABI's own function. `sourceOnly`: as pools with `HASH_SOURCE` want it.
  public func hash(_ keys: [UInt64], sourceOnly: Bool = false) -> UInt32 {
    let client = words(of: client)
    let vip = sourceOnly ? [0, 0, 0, 0] : words(of: vip)
    let ports = sourceOnly ? 0 : UInt32(clientPort.bigEndian) | UInt32(servicePort.bigEndian) << 16
    let transport = sourceOnly ? 0 : UInt32(self.transport.number)
    return self.client.family == .v4
      ? flow_hash4(keys, client[0], vip[0], ports, transport)
      : flow_hash6(keys, client, vip, ports, transport)
  }

  /// Which slot of a table of `count` slots the flow has.
  public func slot(_ keys: [UInt64], of count: UInt32, sourceOnly: Bool = false) -> Int {
    Int(hash_slot(hash(keys, sourceOnly: sourceOnly), count))
  }

  /// The flow table's key.
  public var key: flow_key {
    var key = flow_key()
    withUnsafeMutableBytes(of: &key.client) { $0.copyBytes(from: client.mappedOctets) }
    withUnsafeMutableBytes(of: &key.vip) { $0.copyBytes(from: vip.mappedOctets) }
    key.client_port = clientPort.bigEndian
    key.service_port = servicePort.bigEndian
    key.protocol = transport.number
    return key
  }

  /// The key of its client in the memory of a pool.
  public func clientKey(pool: UInt32) -> flow_key {
    var key = flow_key()
    withUnsafeMutableBytes(of: &key.client) { $0.copyBytes(from: client.mappedOctets) }
    withUnsafeMutableBytes(of: &key.vip) { $0.storeBytes(of: pool, toByteOffset: 12, as: UInt32.self) }
    return key
  }
}

/// An address as 32-bit words, as they lie in memory.
private func words(of address: IPAddress) -> [UInt32] {
  stride(from: 0, to: address.octets.count, by: 4).map { start in
    address.octets[start..<(start + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }
}

extension Packet {
  /// The flow that the packet belongs to by its outermost IP header, or nil where it has no ports.
  public var flow: Flow? {
    var addresses: (IPAddress, IPAddress)?
    for layer in layers {
      switch layer {
      case let ip as IPv4Header: addresses = addresses ?? (ip.source, ip.destination)
      case let ip as IPv6Header: addresses = addresses ?? (ip.source, ip.destination)
      case let tcp as TCPHeader: return flow(addresses, tcp.sourcePort, tcp.destinationPort, .tcp)
      case let udp as UDPHeader: return flow(addresses, udp.sourcePort, udp.destinationPort, .udp)
      case is ICMPHeader: return nil
      default: break
      }
    }
    return nil
  }

  private func flow(
    _ addresses: (IPAddress, IPAddress)?, _ source: UInt16, _ destination: UInt16, _ transport: IPProtocol
  ) -> Flow? {
    addresses.map { Flow(from: $0.0, source, to: $0.1, destination, transport) }
  }
}
