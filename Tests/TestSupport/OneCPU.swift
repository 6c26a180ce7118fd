// SPDX-License-Identifier: Apache-2.0

// GNU extensions, which Swift's Glibc does not show.
@_silgen_name("sched_getcpu") private func currentCPU() -> Int32
@_silgen_name("sched_getaffinity")
private func getAffinity(_ thread: Int32, _ size: Int, _ cpus: UnsafeMutablePointer<UInt64>) -> Int32
@_silgen_name("sched_setaffinity")
private func setAffinity(_ thread: Int32, _ size: Int, _ cpus: UnsafePointer<UInt64>) -> Int32

/// Runs `body` on one CPU: what a program counts per CPU is then in one place.
public func onOneCPU<Result>(_ body: () throws -> Result) rethrows -> Result {
  // As large as glibc's cpu_set_t.
  var before = [UInt64](repeating: 0, count: 16)
  precondition(getAffinity(0, 128, &before) == 0)
  defer { _ = setAffinity(0, 128, before) }
  let cpu = Int(currentCPU())
  var one = [UInt64](repeating: 0, count: 16)
  one[cpu / 64] = 1 << (cpu % 64)
  precondition(setAffinity(0, 128, one) == 0)
  return try body()
}
