// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization
internal import SystemError

/// The exclusive right to use a pin directory. The process holds it until it ends, however it ends.
///
/// The lock is flock(2) on the directory itself: it works on bpffs, where no ordinary file can be made, and two
/// configurations that spell the path differently meet at the same inode.
public final class PinLock: Sendable {
  private let path: String
  private let descriptor: Mutex<Int32>

  /// Makes the directory where it is missing.
  /// - Throws: ``DataplaneError/pinsHeld(path:by:)`` at once where another process holds the lock.
  public init(_ path: String) throws(DataplaneError) {
    self.path = path
    descriptor = Mutex(try Self.acquire(path))
  }

  deinit { descriptor.withLock { _ = close($0) } }

  /// Locks the directory that is at the path now, if the locked one was removed.
  /// - Throws: as ``init(_:)``.
  public func renew() throws(DataplaneError) {
    if descriptor.withLock({ Self.isDirectory($0, at: path) }) { return }
    let new = try Self.acquire(path)
    descriptor.withLock { old in
      close(old)
      old = new
    }
  }

  /// Removes the directory if nothing is in it. To be called at the end: the next process makes one of its own.
  public func removeEmptyDirectory() { unsafe _ = rmdir(path) }

  private static func acquire(_ path: String) throws(DataplaneError) -> Int32 {
    // The directory may be removed between any two of these calls.
    for _ in 0..<100 {
      _ = try PinDirectory(path)
      let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard descriptor >= 0 else {
        if errno == ENOENT { continue }
        throw .pins(path: path, reason: "cannot be opened: \(describe(errorNumber: errno))")
      }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let (error, holder) = (errno, LockTable.holder(of: descriptor))
        close(descriptor)
        if error == EWOULDBLOCK { throw .pinsHeld(path: path, by: holder) }
        throw .pins(path: path, reason: "cannot be locked: \(describe(errorNumber: error))")
      }
      if isDirectory(descriptor, at: path) { return descriptor }
      close(descriptor)
    }
    throw .pins(path: path, reason: "another process removes the directory again and again")
  }

  private static func isDirectory(_ descriptor: Int32, at path: String) -> Bool {
    var (held, found) = (stat(), stat())
    guard unsafe fstat(descriptor, &held) == 0, unsafe stat(path, &found) == 0 else { return false }
    return held.st_dev == found.st_dev && held.st_ino == found.st_ino
  }
}

/// `/proc/locks`: the file locks of this host.
private enum LockTable {
  /// The process that holds an flock(2) lock on the file; nil where the kernel does not show it here, as for a process
  /// of another process namespace.
  static func holder(of descriptor: Int32) -> Int32? {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    let device = UInt64(status.st_dev)
    let major = device >> 8 & 0xfff | device >> 32 & ~0xfff
    let minor = device & 0xff | device >> 12 & ~0xff
    let file = "\(hexadecimal(major)):\(hexadecimal(minor)):\(status.st_ino)"
    // Such as "1: FLOCK  ADVISORY  WRITE 4711 00:27:298367 0 EOF"; who waits for a lock has "->" in front.
    for line in text(of: "/proc/locks").split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count >= 6, words[1] == "FLOCK", words[5] == file else { continue }
      return Int32(words[4]).flatMap { $0 > 0 ? $0 : nil }
    }
    return nil
  }

  private static func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return digits.count < 2 ? "0" + digits : digits
  }

  private static func text(of path: String) -> String {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var (all, part) = ([UInt8](), [UInt8](repeating: 0, count: 16_384))
    while true {
      let count = unsafe read(descriptor, &part, part.count)
      guard count > 0 else { return String(decoding: all, as: UTF8.self) }
      all += part.prefix(count)
    }
  }
}
