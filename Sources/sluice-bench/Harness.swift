// SPDX-License-Identifier: Apache-2.0
import BPF

/// The harness program in the kernel: times XDP programs on frames of many flows.
struct Harness {
  /// What each run begins with.
  struct Setting: Equatable {
    var frame: [UInt8]
    var isIPv6: Bool
    var flows: UInt64
  }

  /// `struct bench_setting` of bench.bpf.c.
  private struct KernelSetting: BitwiseCopyable {
    var template = InlineArray<11, UInt64>(repeating: 0)
    var length: UInt32 = 0
    var zero: UInt32 = 0
    var flows: UInt64 = 1
  }

  /// `struct arrivals` of bench.bpf.c: frames, and those among them with an outer header for IP in IP.
  struct Arrivals: BitwiseCopyable {
    var frames = 0
    var encapsulated = 0
  }

  private let program4: BPFProgram
  private let program6: BPFProgram
  private let target: BPFMap<UInt32, UInt32>
  private let setting: BPFMap<UInt32, KernelSetting>
  private let runs: BPFMap<UInt32, UInt64>
  private let generator4: BPFProgram
  private let generator6: BPFProgram
  private let arrivalCounts: PerCPUMap<UInt32, Arrivals>
  /// Counts what comes back to the live bench.
  let sink: BPFProgram
  let bounce20: BPFProgram
  let bounce40: BPFProgram
  /// As large as a pool's table: what writing one costs.
  let table: MappedArray<UInt64>
  private var current: Setting?

  init() throws {
    let object = try BPFObject.open(.bench).load()
    program4 = try object.program("bench4")
    program6 = try object.program("bench6")
    generator4 = try object.program("generate4")
    generator6 = try object.program("generate6")
    sink = try object.program("sink")
    arrivalCounts = try object.perCPUMap("arrivals")
    bounce20 = try object.program("bounce20")
    bounce40 = try object.program("bounce40")
    target = try object.map("target")
    setting = try object.map(".data.setting")
    runs = try object.map(".data.runs")
    table = try object.map("table", key: UInt32.self).memoryMapped()
  }

  /// Mean nanoseconds of a run of the harness with `tested` at its end, and the last frame that came out. The same
  /// `first` gives every program the same flows in the same order.
  mutating func time(
    _ tested: BPFProgram, _ wanted: Setting, first: Int, count: Int
  ) throws -> (nanoseconds: Double, last: [UInt8]) {
    if current != wanted { try arrange(wanted) }
    try runs.update(0, to: UInt64(first))
    try target.update(0, to: UInt32(tested.descriptor.number))
    let program = wanted.isIPv6 ? program6 : program4
    let run = try program.testRun(input: wanted.frame, repeat: count, dataSizeOut: 512)
    guard run.returnValue == 3 else {
      throw BenchError("\(tested.name) returned \(run.returnValue), not XDP_TX")
    }
    return (Double(run.nanoseconds), run.output)
  }

  /// Sends frames of the flows out of an interface of this network namespace, as fast as it goes.
  mutating func send(_ wanted: Setting, count: Int, from interface: UInt32) throws {
    if current != wanted { try arrange(wanted) }
    let generator = wanted.isIPv6 ? generator6 : generator4
    try generator.runLive(input: wanted.frame, interfaceIndex: interface, repeat: count)
  }

  func arrivals() throws -> Arrivals {
    try (arrivalCounts.lookup(0) ?? []).reduce(Arrivals()) { sum, one in
      Arrivals(frames: sum.frames + one.frames, encapsulated: sum.encapsulated + one.encapsulated)
    }
  }

  private mutating func arrange(_ wanted: Setting) throws {
    var kernel = KernelSetting()
    for word in 0..<11 {
      let octets = wanted.frame[(word * 8)..<(word * 8 + 8)]
      kernel.template[word] = octets.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    kernel.length = UInt32(wanted.frame.count)
    kernel.flows = wanted.flows
    try setting.update(0, to: kernel)
    current = wanted
  }
}

struct BenchError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
