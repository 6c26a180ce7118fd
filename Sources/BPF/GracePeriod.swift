// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// Waits until every program run that began before this call has ended (an RCU grace period, 8 to 24 ms): what
/// readers can no longer see may be written again. Needs no capability.
public func waitForReaders() throws(BPFError) {
  guard membarrier_global() == 0 else { throw BPFError(.waitForReaders, "membarrier", errno: Glibc.errno) }
}
