// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// Waits for an RCU grace period (8 to 24 ms): when it ends, every program run that began before the wait has ended, so
/// memory that new runs do not use may be rewritten. Waiting needs no capability.
public struct GracePeriod: Sendable {
  public enum Means: Sendable {
    /// `membarrier(MEMBARRIER_CMD_GLOBAL)`. The kernel refuses it on machines with `nohz_full` CPUs.
    case membarrier
    /// An update of a map of maps: the kernel waits for a grace period before it returns (`kernel/bpf/syscall.c`, since
    /// Linux 5.0).
    case mapOfMaps
  }

  private enum Method {
    case membarrier
    case mapOfMaps(outer: BPFDescriptor, inner: BPFDescriptor)
  }

  private let method: Method

  /// - Parameter means: `nil`: `membarrier` if the kernel supports it. `mapOfMaps` creates its maps here, with CAP_BPF.
  public init(by means: Means? = nil) throws(BPFError) {
    switch means ?? (membarrier_has_global() ? .membarrier : .mapOfMaps) {
    case .membarrier: method = .membarrier
    case .mapOfMaps: method = try Self.mapOfMaps()
    }
  }

  public func wait() throws(BPFError) {
    switch method {
    case .membarrier:
      guard membarrier_global() == 0 else {
        throw BPFError(.waitForReaders, "membarrier", errno: Glibc.errno)
      }
    case .mapOfMaps(let outer, let inner):
      let result = unsafe withUnsafePointer(to: UInt32(0)) { key in
        unsafe withUnsafePointer(to: inner.number) { unsafe bpf_map_update_elem(outer.number, key, $0, 0) }
      }
      try check(result, .waitForReaders, "replacing a map of maps' element")
    }
  }

  private static func mapOfMaps() throws(BPFError) -> Method {
    let inner = try make(BPF_MAP_TYPE_ARRAY, "grace_inner")
    let outer = try make(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace_outer", holding: inner)
    return .mapOfMaps(outer: outer, inner: inner)
  }

  private static func make(
    _ type: bpf_map_type, _ name: String, holding inner: BPFDescriptor? = nil
  ) throws(BPFError) -> BPFDescriptor {
    var options = bpf_map_create_opts.sized { $0.inner_map_fd = UInt32(inner?.number ?? 0) }
    let number = unsafe bpf_map_create(type, name, 4, 4, 1, &options)
    return BPFDescriptor(owning: try check(number, .createMap, name))
  }
}
