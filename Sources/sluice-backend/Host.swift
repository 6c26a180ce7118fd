// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import Netlink

/// This host's interfaces and addresses, in the network namespace that the command was started in.
struct Host: ~Copyable {
  private var netlink: NetlinkSocket

  init() throws { netlink = try NetlinkSocket() }

  mutating func interface(_ name: String) throws -> Link {
    if let link = try netlink.link(named: name) { return link }
    let names = try netlink.links().map(\.name).sorted().joined(separator: ", ")
    throw Failure("there is no interface '\(name)'", cure: "Interfaces of this host are: \(names)")
  }

  /// With their prefix lengths.
  mutating func addresses(_ link: Link) throws -> [(address: IPAddress, prefixLength: Int)] {
    try netlink.addresses(interfaceIndex: link.index).map { ($0.address, Int($0.prefixLength)) }
  }

  /// Of all interfaces.
  mutating func addresses() throws -> Set<IPAddress> {
    var all: Set<IPAddress> = []
    for link in try netlink.links() { all.formUnion(try addresses(link).map(\.address)) }
    return all
  }

  mutating func loopbackAddresses() throws -> Set<IPAddress> {
    let loopback = try interface("lo")
    return Set(try addresses(loopback).map(\.address))
  }

  mutating func addToLoopback(_ address: IPAddress) throws {
    try netlink.addAddress(onLoopback(address))
  }

  mutating func removeFromLoopback(_ address: IPAddress) throws {
    try netlink.removeAddress(onLoopback(address))
  }

  private mutating func onLoopback(_ address: IPAddress) throws -> InterfaceAddress {
    InterfaceAddress(
      interfaceIndex: try interface("lo").index, address: address,
      prefixLength: UInt8(address.family.bitWidth))
  }
}
