// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// What packets wrote into a set of maps that is to be carried over, in whichever layout.
struct FormerMaps {
  let flows: BPFMap<flow_key, flow>
  let lastUnknown: BPFMap<UInt32, UInt64>
  let pairCounters: PerCPUMap<UInt32, counter>
  let pairOffsets: BPFMap<UInt32, counter>
  let pairEntries: UInt32

  /// The maps of a set of the present layout, or of layout 3.
  init(_ set: MapSet) throws(BPFError) {
    flows = try set.openMap("flows")
    lastUnknown = try set.openMap("last_unknown")
    pairCounters = try set.openPerCPUMap("pair_counters")
    pairOffsets = try set.openMap("pair_offsets")
    pairEntries = min(try pairCounters.info.maxEntries, try pairOffsets.info.maxEntries)
  }
}
