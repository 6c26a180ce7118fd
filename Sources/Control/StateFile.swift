// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// A JSON document in the state directory, replaced as a whole.
struct StateFile {
  private let directory: String
  private let name: String
  var path: String { directory + "/" + name }

  init(_ name: String, in directory: String) {
    self.directory = directory
    self.name = name
  }

  /// A reader, also after a crash at any point, finds the old or the new one.
  func replace(with document: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
    try replace(with: try encoder.encode(document))
  }

  private func replace(with data: Data) throws {
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
