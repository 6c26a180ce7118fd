// SPDX-License-Identifier: Apache-2.0
import BPF
import LoadBalancing

/// The harness program in the kernel: times XDP programs on frames of many flows.
struct Harness {
  /// What each run begins with.
  struct Setting: Equatable {
    var frame: Frame
    var flows: Int
    var services: Int

    init(_ traffic: Traffic, isIPv6: Bool) {
      frame = Frame(isIPv6: isIPv6, shape: traffic.shape)
      flows = traffic.flows
      services = traffic.services
    }
  }

  /// `struct bench_setting` of bench.bpf.c.
  private struct KernelSetting: BitwiseCopyable {
    static let templateWords = 11
    var template = InlineArray<11, UInt64>(repeating: 0)
    var length: UInt32 = 0
    var flows: UInt32 = 1
    var services: UInt32 = 1
    var vip: UInt32 = 0
    var sourceAt: UInt32 = 0
    var portAt: UInt32 = 0
    var vipAt: UInt32 = 0
    var zero: UInt32 = 0
  }

  /// `struct arrivals` of bench.bpf.c: frames, and those among them with an outer header for IP in IP.
  struct Arrivals: BitwiseCopyable {
    var frames = 0
    var encapsulated = 0
  }

  private let program: BPFProgram
  private let target: BPFMap<UInt32, UInt32>
  private let setting: BPFMap<UInt32, KernelSetting>
  private let runs: BPFMap<UInt32, UInt64>
  private let generator: BPFProgram
  private let arrivalCounts: PerCPUMap<UInt32, Arrivals>
  /// Counts what comes back to the live bench.
  let sink: BPFProgram
  private let bounce20: BPFProgram
  private let bounce40: BPFProgram
  private let headers20: BPFProgram
  private let headers40: BPFProgram
  /// As large as a pool's table: what writing one costs.
  let table: MappedArray<UInt64>
  private var current: Setting?

  init() throws {
    let object = try BPFObject.open(.bench).load()
    program = try object.program("bench")
    generator = try object.program("generate")
    sink = try object.program("sink")
    arrivalCounts = try object.perCPUMap("arrivals")
    bounce20 = try object.program("bounce20")
    bounce40 = try object.program("bounce40")
    headers20 = try object.program("headers20")
    headers40 = try object.program("headers40")
    target = try object.map("target")
    setting = try object.map(".data.setting")
    runs = try object.map(".data.runs")
    table = try object.map("table", key: UInt32.self).memoryMapped()
  }

  /// Makes room for the family's outer header and transmits.
  func bounce(isIPv6: Bool) -> BPFProgram { isIPv6 ? bounce40 : bounce20 }

  /// Reads and writes the headers that any forwarder has to, and transmits.
  func headersOnly(isIPv6: Bool) -> BPFProgram { isIPv6 ? headers40 : headers20 }

  /// Mean nanoseconds of a run of the harness with `tested` at its end, and the last frame that came out. The same
  /// `first` gives every program the same flows in the same order. Throws unless the last run returned `action`.
  mutating func time(
    _ tested: BPFProgram, _ wanted: Setting, first: Int, count: Int, action: UInt32
  ) throws -> (nanoseconds: Double, last: [UInt8]) {
    if current != wanted { try arrange(wanted) }
    try runs.update(0, to: UInt64(first))
    try target.update(0, to: UInt32(tested.descriptor.number))
    let run = try program.testRun(input: wanted.frame.octets, repeat: count, dataSizeOut: 512)
    guard run.returnValue == action else {
      throw BenchError("\(tested.name) returned XDP action \(run.returnValue) instead of \(action)")
    }
    return (Double(run.nanoseconds), run.output)
  }

  /// Sends frames of the flows out of an interface of this network namespace, as fast as it goes.
  mutating func send(_ wanted: Setting, count: Int, from interface: UInt32) throws {
    if current != wanted { try arrange(wanted) }
    try generator.runLive(input: wanted.frame.octets, interfaceIndex: interface, repeat: count)
  }

  func arrivals() throws -> Arrivals {
    try (arrivalCounts.lookup(0) ?? []).reduce(Arrivals()) { sum, one in
      Arrivals(frames: sum.frames + one.frames, encapsulated: sum.encapsulated + one.encapsulated)
    }
  }

  private mutating func arrange(_ wanted: Setting) throws {
    let frame = wanted.frame
    var kernel = KernelSetting()
    for word in 0..<KernelSetting.templateWords {
      let octets = frame.octets[(word * 8)..<(word * 8 + 8)]
      kernel.template[word] = octets.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    kernel.length = UInt32(frame.octets.count)
    kernel.flows = UInt32(wanted.flows)
    kernel.services = UInt32(wanted.services)
    kernel.vip = UInt32(truncatingIfNeeded: Installation.vip(0, isIPv6: frame.isIPv6).bits)
    kernel.sourceAt = UInt32(frame.clientOffset)
    kernel.portAt = UInt32(frame.portOffset)
    kernel.vipAt = UInt32(frame.vipOffset)
    try setting.update(0, to: kernel)
    current = wanted
  }
}

struct BenchError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
