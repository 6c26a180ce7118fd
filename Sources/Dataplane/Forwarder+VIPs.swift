// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

/// What the program knows of all VIPs together.
extension Forwarder {
  /// Applies a policy to packets from now on.
  public func setPacketPolicy(_ policy: PacketPolicy) {
    vipPolicy.storeWord(
      UInt64(policy.unserved.abi.rawValue), element: 0,
      byteOffset: MemoryLayout<vip_policy>.offset(of: \.unserved)!)
    vipPolicy.storeWord(
      policy.vipSources == .accept ? 1 : 0, element: 0,
      byteOffset: MemoryLayout<vip_policy>.offset(of: \.accepts_sources)!)
  }

  /// Says which addresses may be VIPs. Most packets for others, and almost all clients, then cost no lookup. A VIP must
  /// be among them before its services are.
  func setPossibleVIPs(_ vips: Set<IPAddress>) {
    var words = [UInt64](repeating: 0, count: vipFilter.count)
    for bit in vips.map({ Int(vip_filter_bit($0.firstWord)) }) { words[bit / 64] |= 1 << UInt64(bit % 64) }
    for (index, word) in words.enumerated() where vipFilter.loadWord(element: index) != word {
      vipFilter.storeWord(word, element: index)
    }
  }
}

extension IPAddress {
  /// The first eight octets as they lie in memory; those that an IPv4 address lacks are zero.
  fileprivate var firstWord: UInt64 { octets.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) } }
}

extension PacketPolicy.Unserved {
  fileprivate var abi: unserved {
    switch self {
    case .reject: .UNSERVED_REJECT
    case .drop: .UNSERVED_DROP
    case .pass: .UNSERVED_PASS
    }
  }
}
