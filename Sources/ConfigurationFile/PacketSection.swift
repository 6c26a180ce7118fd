// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// What becomes of packets that concern a VIP and belong to none of its services.
func readPackets(_ cursor: Cursor) -> PacketPolicy {
  var policy = PacketPolicy()
  guard let fields = cursor.fields() else { return policy }
  if let unserved = fields["unserved"]?.word(as: PacketPolicy.Unserved.self) {
    policy.unserved = unserved
  }
  if let sources = fields["vip_sources"]?.word(as: PacketPolicy.VIPSources.self) {
    policy.vipSources = sources
  }
  return policy
}
