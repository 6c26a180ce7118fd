// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

extension BPFProgram {
  /// Runs the program so many times as if an interface of this network namespace had received frames, and does with
  /// them what it says: what it transmits leaves the interface, in batches of 64. Returns when the last run is done.
  ///
  /// A frame's memory is used again: it begins as `input` once, and then as whoever had it last left it. The interface
  /// needs an XDP program of its own. Needs `CAP_SYS_ADMIN`.
  public func runLive(input: [UInt8], interfaceIndex: UInt32, repeat count: Int) throws(BPFError) {
    var result: CInt = 0
    var context = xdp_md()
    context.data_end = UInt32(input.count)
    context.ingress_ifindex = interfaceIndex
    unsafe input.withUnsafeBytes { input in
      unsafe withUnsafeBytes(of: &context) { context in
        var options = unsafe bpf_test_run_opts.sized {
          unsafe $0.data_in = input.baseAddress
          unsafe $0.data_size_in = UInt32(input.count)
          unsafe $0.ctx_in = context.baseAddress
          unsafe $0.ctx_size_in = UInt32(context.count)
          unsafe $0.repeat = CInt(count)
          unsafe $0.flags = 1 << 1  // BPF_F_TEST_XDP_LIVE_FRAMES
          unsafe $0.batch_size = 64
        }
        result = unsafe bpf_prog_test_run_opts(descriptor.number, &options)
      }
    }
    try check(result, .testRun, name, detail: "on live frames of \(input.count) bytes")
  }
}
