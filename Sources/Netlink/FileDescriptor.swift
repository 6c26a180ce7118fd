// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// An open descriptor, closed when its owner goes.
struct FileDescriptor: ~Copyable, Sendable {
  let number: Int32

  /// Takes over `number`, or `nil` when it is negative: the call that made it failed.
  init?(owning number: Int32) {
    guard number >= 0 else { return nil }
    self.number = number
  }

  /// `setsockopt(2)`; `false` when the kernel refuses.
  func setOption(_ level: Int32, _ option: Int32, _ value: some BitwiseCopyable) -> Bool {
    unsafe withUnsafePointer(to: value) {
      unsafe setsockopt(number, level, option, $0, socklen_t(MemoryLayout.size(ofValue: value))) == 0
    }
  }

  deinit {
    close(number)
  }
}
