// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemError

/// Small files, such as those in `/proc` and `/run`, read and written whole.
enum TextFile {
  /// The file's octets, or `nil` if it does not exist or cannot be read; `errno` has the reason.
  static func read(_ path: String) -> [UInt8]? {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var octets: [UInt8] = []
    // Files in /proc report no size.
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = unsafe Glibc.read(file, &chunk, chunk.count)
      guard count >= 0 else { return nil }
      if count == 0 { return octets }
      octets += chunk[..<count]
    }
  }

  /// Writes in place, as `/proc` requires.
  static func write(_ text: String, to path: String) throws(Failure) {
    try write(Array(text.utf8), path, flags: O_WRONLY | O_CLOEXEC)
  }

  /// Replaces the file by a rename: a reader sees the old or the new content.
  static func replace(_ path: String, with octets: [UInt8]) throws(Failure) {
    let new = path + ".new"
    try write(octets, new, flags: O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC)
    guard unsafe rename(new, path) == 0 else { throw failed("replace", path) }
  }

  private static func write(_ octets: [UInt8], _ path: String, flags: CInt) throws(Failure) {
    let file = unsafe open(path, flags, 0o600)
    guard file >= 0 else { throw failed("open for writing", path) }
    defer { close(file) }
    guard unsafe Glibc.write(file, octets, octets.count) == octets.count else { throw failed("write", path) }
  }

  static func failed(_ action: String, _ path: String) -> Failure {
    return Failure(
      "cannot \(action) \(path): \(describe(errorNumber: errno))",
      cure: "Run as root, and check that the path is right")
  }
}
