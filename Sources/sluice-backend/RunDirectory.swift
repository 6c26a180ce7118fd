// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc

/// The directory that holds a ``HostRecord`` for each interface that is up.
enum RunDirectory {
  static func records(in directory: String) throws -> [HostRecord] {
    guard FileManager.default.fileExists(atPath: directory) else { return [] }
    return try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
      .filter { $0.hasSuffix(".json") }
      .compactMap { try HostRecord.read("\(directory)/\($0)") }
  }

  /// Locks out all other commands until this one ends, so that the records do not change meanwhile. Makes the directory
  /// if it is missing.
  static func lock(_ directory: String) throws(Failure) {
    while true {
      if unsafe mkdir(directory, 0o755) != 0, errno != EEXIST { throw TextFile.failed("make", directory) }
      let descriptor = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      if descriptor < 0, errno == ENOENT { continue }
      guard descriptor >= 0 else { throw TextFile.failed("open", directory) }
      guard flock(descriptor, LOCK_EX) == 0 else { throw TextFile.failed("lock", directory) }
      // The last `down` removes the directory; later commands do not see the lock of a removed one.
      if isPresent(descriptor, directory) { return }
      close(descriptor)
    }
  }

  private static func isPresent(_ descriptor: CInt, _ directory: String) -> Bool {
    var held = Glibc.stat()
    var present = Glibc.stat()
    return unsafe fstat(descriptor, &held) == 0 && stat(directory, &present) == 0
      && held.st_ino == present.st_ino && held.st_dev == present.st_dev
  }
}
