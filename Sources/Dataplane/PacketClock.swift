// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import Glibc
public import LoadBalancing

/// The packet path's clock: jiffies in steps of about a second.
struct PacketClock: Sendable {
  /// tick = jiffies >> shift
  let shift: UInt32
  private let jiffiesPerSecond: Int

  /// The kernel's tick rate is the resolution of its coarse clocks.
  init() {
    var resolution = timespec()
    unsafe clock_getres(CLOCK_MONOTONIC_COARSE, &resolution)
    let rate = 1_000_000_000 / max(resolution.tv_nsec, 1)
    // The power of two nearest to a second.
    shift = UInt32((6...10).min { abs((1 << $0) - rate) < abs((1 << $1) - rate) } ?? 8)
    jiffiesPerSecond = rate
  }

  /// Seconds of a tick.
  var tickLength: Double { Double(1 << shift) / Double(jiffiesPerSecond) }

  /// The ticks that cover so many seconds.
  func ticks(seconds: Int) -> UInt32 {
    Tick.count(seconds: seconds, length: tickLength)
  }

  /// The inverse of ``ticks(seconds:)``: the greatest number of seconds that the ticks cover.
  func seconds(ticks: UInt32) -> Int { (Int(ticks) << shift) / jiffiesPerSecond }

  /// The packet path's time now, read where packets read it.
  static func now(_ program: BPFProgram) throws(BPFError) -> Tick {
    Tick(try program.testRun(input: [UInt8](repeating: 0, count: 64)).returnValue)
  }
}
