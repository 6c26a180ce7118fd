// SPDX-License-Identifier: Apache-2.0
import BPF
import Glibc
import Synchronization
import Testing

/// The maps and constants of `bpf/tests/probe.bpf.c`.
struct ProbeValue: BitwiseCopyable, Equatable {
  var first: UInt32
  var second: UInt32
}

struct ProbeOdd: BitwiseCopyable, Equatable {
  var parts: (UInt32, UInt32, UInt32)
  init(_ a: UInt32, _ b: UInt32, _ c: UInt32) { parts = (a, b, c) }
  static func == (a: ProbeOdd, b: ProbeOdd) -> Bool { a.parts == b.parts }
}

struct ProbeConstants: BitwiseCopyable {
  var verdict: UInt32
  var pad: UInt32 = 0
  var increment: UInt64 = 1
}

enum Verdict {
  static let drop: UInt32 = 1
  static let pass: UInt32 = 2
  static let transmit: UInt32 = 3
}

func openProbe() throws -> BPFObject {
  try #require(geteuid() == 0, "BPF tests need root")
  return try BPFObject.open(.probe)
}

func loadProbe() throws -> LoadedObject {
  try openProbe().load()
}

/// The BPF error that `body` throws.
func failure(_ body: () throws -> Void) -> BPFError? {
  do {
    try body()
    return nil
  } catch {
    return error as? BPFError
  }
}

/// A folder on bpffs that goes, with its pins, when the test lets go of it.
final class PinFolder {
  private static let next = Counter()
  let path: String
  private var names: [String] = []

  init() throws {
    path = "/sys/fs/bpf/sl-test-\(getpid())-\(Self.next.increment())"
    try #require(mkdir(path, 0o700) == 0, "bpffs must be mounted at /sys/fs/bpf")
  }

  func file(_ name: String) -> String {
    names.append(name)
    return "\(path)/\(name)"
  }

  deinit {
    for name in names { unlink("\(path)/\(name)") }
    rmdir(path)
  }
}

private final class Counter: Sendable {
  private let value = Mutex(0)
  func increment() -> Int {
    value.withLock {
      $0 += 1
      return $0
    }
  }
}
