// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The interface, as it was, for which the driver last refused native mode: `native-refused.json` in the state directory.
///
/// A change of the mode takes the program off the interface for some milliseconds, whether native mode is granted or
/// not. A restart must not cost packets each time, so what was refused is not tried again while nothing has changed.
struct NativeRefusal: Codable, Equatable {
  var interfaceIndex: UInt32
  var mtu: UInt32

  private static func file(in directory: String) -> StateFile {
    StateFile("native-refused.json", in: directory)
  }

  /// - Returns: nil where nothing was refused, or nothing can be read.
  static func load(from directory: String) -> NativeRefusal? {
    FileManager.default.contents(atPath: file(in: directory).path)
      .flatMap { try? JSONDecoder().decode(NativeRefusal.self, from: $0) }
  }

  func save(in directory: String) throws { try Self.file(in: directory).replace(with: self) }

  static func remove(from directory: String) {
    try? FileManager.default.removeItem(atPath: file(in: directory).path)
  }
}
