// SPDX-License-Identifier: Apache-2.0
import Glibc
internal import SystemError

/// A file that holds the hash seed, as found.
public struct SeedFile: Sendable {
  public let contents: String
  /// Its mode lets every user of the machine read it.
  public let isReadableByOthers: Bool

  public init(contents: String, isReadableByOthers: Bool) {
    self.contents = contents
    self.isReadableByOthers = isReadableByOthers
  }

  /// Reads a file of at most 4 KiB.
  ///
  /// - Throws: ``FileError``.
  public static func read(path: String) throws -> SeedFile {
    let file = try readFile(path, limit: 4096)
    guard file.bytes.count <= 4096 else { throw FileError(message: "larger than 4096 bytes") }
    guard let text = String(validating: file.bytes, as: UTF8.self) else {
      throw FileError(message: "not UTF-8 text")
    }
    return SeedFile(contents: text, isReadableByOthers: file.mode & S_IROTH != 0)
  }
}

/// Why a file could not be read, in the system's words.
public struct FileError: Error, CustomStringConvertible {
  public let message: String
  /// The system's error number; 0 where it raised none.
  let number: Int32

  init(message: String) {
    self.message = message
    number = 0
  }

  init(number: Int32) {
    message = describe(errorNumber: number)
    self.number = number
  }

  public var description: String { message }

  /// A FIFO, a device, a socket or a directory.
  static let notRegular = FileError(message: "it is not a regular file")
}

/// Reads a regular file up to one byte more than the limit, so that the caller can tell that it was exceeded.
///
/// A FIFO, a device or a socket is refused: reading one could wait for ever, or never end.
func readFile(_ path: String, limit: Int) throws(FileError) -> (bytes: [UInt8], mode: mode_t) {
  let (descriptor, status) = try openRegularFile(path)
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65_536)
  while bytes.count <= limit {
    let wanted = min(chunk.count, limit + 1 - bytes.count)
    let count = unsafe Glibc.read(descriptor, &chunk, wanted)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw FileError(number: errno) }
    guard count > 0 else { break }
    bytes += chunk[..<count]
  }
  return (bytes, status.st_mode)
}

/// - Returns: a descriptor that the caller closes.
private func openRegularFile(_ path: String) throws(FileError) -> (Int32, stat) {
  // O_NONBLOCK: opening a FIFO would wait for a writer.
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
  guard descriptor >= 0 else {
    throw errno == ENXIO ? FileError.notRegular : FileError(number: errno)
  }
  var status = stat()
  guard unsafe fstat(descriptor, &status) == 0 else {
    let number = errno
    close(descriptor)
    throw FileError(number: number)
  }
  guard status.st_mode & S_IFMT == S_IFREG else {
    close(descriptor)
    throw FileError.notRegular
  }
  return (descriptor, status)
}

/// Names in a directory, sorted; none where there is no such directory.
func directoryEntries(_ path: String) throws(FileError) -> [String] {
  guard let directory = unsafe opendir(path) else {
    if errno == ENOENT { return [] }
    throw FileError(number: errno)
  }
  defer { unsafe closedir(directory) }
  var names: [String] = []
  while let entry = unsafe readdir(directory) {
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
    }
    names.append(name)
  }
  return names.sorted()
}

/// Why this process cannot read a file; nil: it can.
func obstacleToReading(_ path: String) -> FileError? {
  do throws(FileError) {
    close(try openRegularFile(path).0)
    return nil
  } catch {
    return error
  }
}
