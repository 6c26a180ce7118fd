// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

extension Forwarder {
  /// Removes entries that have been silent longer than any flow lives. The packet path ignores them already; this
  /// makes room.
  @discardableResult
  public func sweepFlows() throws(DataplaneError) -> Int {
    let now = try now().value
    var dead: [flow_key] = []
    try inKernel { () throws(BPFError) in
      try maps.flows.forEachEntry { key, flow in
        let idle = (now &- flow.last_seen) % Tick.modulus
        if idle < Tick.modulus / 2, idle > Self.longestIdle(flow.flags, clock) { dead.append(key) }
      }
      for key in dead { try maps.flows.delete(key) }
    }
    return dead.count
  }

  private static func longestIdle(_ flags: UInt32, _ clock: PacketClock) -> UInt32 {
    if flags & UInt32(FLOW_SYN_ONLY) != 0 { return UInt32(FLOW_SYN_ONLY_IDLE) }
    if flags & UInt32(FLOW_CLOSING) != 0 { return UInt32(FLOW_CLOSING_IDLE) }
    return clock.ticks(seconds: tcpIdle)
  }
}
