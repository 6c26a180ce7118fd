// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// A JSON document in the state directory, replaced as a whole.
struct StateFile {
  private let directory: String
  private let name: String
  var path: String { directory + "/" + name }

  /// The largest number of octets that are read; a hundred times what the largest configuration needs.
  private static let limit = 64 << 20

  init(_ name: String, in directory: String) {
    self.directory = directory
    self.name = name
  }

  /// - Returns: nil where there is no file.
  func read() throws(StateFileError) -> Data? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw StateFileError(errno)
    }
    defer { close(descriptor) }
    var (data, part) = (Data(), [UInt8](repeating: 0, count: 1 << 16))
    while true {
      let count = unsafe Foundation.read(descriptor, &part, part.count)
      guard count >= 0 else { throw StateFileError(errno) }
      guard count > 0 else { return data }
      data.append(contentsOf: part.prefix(count))
      guard data.count <= Self.limit else { throw StateFileError(EFBIG) }
    }
  }

  /// A reader finds the old or the new document, also after a crash at any point.
  func replace(with document: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try replace(with: try encoder.encode(document))
  }

  func replace(with data: Data) throws {
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
    let new = path + ".new"
    let descriptor = unsafe open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o640)
    guard descriptor >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    do {
      try handle.write(contentsOf: data)
      try handle.synchronize()
    } catch {
      _ = unsafe unlink(new)
      throw error
    }
    guard unsafe rename(new, path) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    let folder = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if folder >= 0 {
      fsync(folder)
      close(folder)
    }
  }
}

/// Why a state file could not be read.
struct StateFileError: Error, CustomStringConvertible {
  let description: String

  init(_ number: Int32) { description = unsafe String(cString: strerror(number)) }
}
