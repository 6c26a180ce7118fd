// SPDX-License-Identifier: Apache-2.0

/// What becomes of packets that concern a VIP and belong to none of its services. The same for all VIPs.
public struct PacketPolicy: Hashable, Sendable {
  /// What a packet to a VIP gets whose port or protocol no service has.
  public enum Unserved: String, Hashable, Sendable, CaseIterable {
    /// TCP: a RST. UDP: "port unreachable". Other protocols: "protocol unreachable".
    case reject
    /// Nothing.
    case drop
    /// To this host's own stack, untouched.
    case pass
  }

  /// What a packet to a VIP gets whose source address is a VIP, too.
  public enum VIPSources: String, Hashable, Sendable, CaseIterable {
    case drop
    /// As any other client's. A packet from a VIP to itself is dropped all the same.
    case accept
  }

  public var unserved: Unserved
  public var vipSources: VIPSources

  public init(unserved: Unserved = .reject, vipSources: VIPSources = .drop) {
    self.unserved = unserved
    self.vipSources = vipSources
  }

  /// The policy while services are still to be installed: a client of such a service must try again, not be refused.
  public var whileServicesAreAwaited: PacketPolicy {
    PacketPolicy(unserved: unserved == .reject ? .drop : unserved, vipSources: vipSources)
  }
}
