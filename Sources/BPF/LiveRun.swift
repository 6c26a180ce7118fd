// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

extension BPFProgram {
  /// Runs the program as if an interface of this network namespace had received frames, and carries out its verdicts:
  /// transmitted frames leave the interface, in batches of 64. Returns after the last run.
  ///
  /// Frame memory is reused: a frame holds `input` at its first use, and then what its last user left. The interface
  /// needs an XDP program. Requires `CAP_SYS_ADMIN`.
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
