// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF

/// What a program did with a frame that it was run on without any network.
public struct TestRun: Equatable, Sendable {
  /// What the program returned, such as `XDP_TX`.
  public var returnValue: UInt32
  /// The frame as the program left it.
  public var output: [UInt8]
  /// The mean time of one run.
  public var nanoseconds: UInt32

  /// The same without the frame, which is in the caller's buffer.
  public struct Outcome: Equatable, Sendable {
    public var returnValue: UInt32
    /// How many bytes of the buffer are the frame.
    public var outputCount: Int
    public var nanoseconds: UInt32
  }
}

extension BPFProgram {
  /// Runs the program on a frame (`BPF_PROG_TEST_RUN`). Each repetition starts with the frame as the one before
  /// left it. Throws `ENOSPC` when the result has more than `dataSizeOut` bytes; the first choice leaves room
  /// for 256 more than went in.
  public func testRun(
    input: [UInt8], repeat count: Int = 1, dataSizeOut: Int? = nil
  ) throws(BPFError) -> TestRun {
    var output = [UInt8](repeating: 0, count: dataSizeOut ?? input.count + 256)
    let outcome = try testRun(input: input, output: &output, repeat: count)
    output.removeSubrange(outcome.outputCount...)
    return TestRun(returnValue: outcome.returnValue, output: output, nanoseconds: outcome.nanoseconds)
  }

  /// Runs the program on a frame, and puts the result into a buffer that the caller keeps for the next run.
  /// Throws `ENOSPC` when it does not fit. The buffer's length stays as it is.
  public func testRun(
    input: [UInt8], output: inout [UInt8], repeat count: Int = 1
  ) throws(BPFError) -> TestRun.Outcome {
    var result: CInt = 0
    var options = unsafe bpf_test_run_opts()
    unsafe input.withUnsafeBytes { input in
      unsafe output.withUnsafeMutableBytes { output in
        unsafe options = .sized {
          unsafe $0.data_in = input.baseAddress
          unsafe $0.data_size_in = UInt32(input.count)
          unsafe $0.data_out = output.baseAddress
          unsafe $0.data_size_out = UInt32(output.count)
          unsafe $0.repeat = CInt(count)
        }
        result = unsafe bpf_prog_test_run_opts(descriptor.number, &options)
      }
    }
    try check(result, .testRun, name, detail: "with a frame of \(input.count) bytes")
    return unsafe TestRun.Outcome(
      returnValue: options.retval, outputCount: Int(options.data_size_out), nanoseconds: options.duration)
  }
}
