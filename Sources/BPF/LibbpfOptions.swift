// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF

/// libbpf's option structures begin with their own size; `sized` stands in for the macro `LIBBPF_OPTS`.
protocol LibbpfOptions {
  init()
  var sz: Int { get set }
}

extension LibbpfOptions {
  static func sized(_ fill: (inout Self) -> Void = { _ in }) -> Self {
    var options = Self()
    options.sz = MemoryLayout<Self>.size
    fill(&options)
    return options
  }
}

extension bpf_object_open_opts: @unsafe LibbpfOptions {}
extension bpf_test_run_opts: @unsafe LibbpfOptions {}
extension bpf_link_create_opts: @unsafe LibbpfOptions {}
extension bpf_link_update_opts: LibbpfOptions {}
extension bpf_xdp_query_opts: LibbpfOptions {}
extension bpf_tc_hook: LibbpfOptions {}
extension bpf_tc_opts: LibbpfOptions {}
