// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF

/// libbpf's option structures begin with their own size, and libbpf insists that what it does not know behind
/// their last field is zero. Swift does not promise that of padding, so the size ends with the last field.
/// `sized` stands in for the macro `LIBBPF_OPTS`.
protocol LibbpfOptions {
  init()
  var sz: Int { get set }
  /// The offset behind the last field (libbpf's `…__last_field`).
  static var end: Int { get }
}

extension LibbpfOptions {
  static func sized(_ fill: (inout Self) -> Void = { _ in }) -> Self {
    var options = Self()
    options.sz = end
    fill(&options)
    return options
  }

  fileprivate static func end<Field>(of last: KeyPath<Self, Field>) -> Int {
    MemoryLayout<Self>.offset(of: last)! + MemoryLayout<Field>.size
  }
}

extension bpf_object_open_opts: @unsafe LibbpfOptions {
  static var end: Int { unsafe end(of: \.kernel_log_level) }
}
extension bpf_map_create_opts: LibbpfOptions {
  static var end: Int { end(of: \.map_ifindex) }
}
extension bpf_test_run_opts: @unsafe LibbpfOptions {
  static var end: Int { unsafe end(of: \.batch_size) }
}
extension bpf_link_create_opts: @unsafe LibbpfOptions {
  static var end: Int { unsafe end(of: \.target_btf_id) }
}
extension bpf_link_update_opts: LibbpfOptions {
  static var end: Int { end(of: \.old_prog_fd) }
}
extension bpf_xdp_query_opts: LibbpfOptions {
  static var end: Int { end(of: \.attach_mode) }
}
extension bpf_tc_hook: LibbpfOptions {
  static var end: Int { end(of: \.parent) }
}
extension bpf_tc_opts: LibbpfOptions {
  static var end: Int { end(of: \.priority) }
}
