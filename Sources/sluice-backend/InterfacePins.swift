// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemError

/// A directory on bpffs that holds the pins of one interface and nothing else.
enum InterfacePins {
  /// The names of all files in it.
  private static let names =
    [
      "link", "program", "tunnel_addresses", "vips", "sources4", "sources6", "verdicts", "tunnel_formats",
      "tunnel_ports",
    ] + MSSClamp.pinNames

  static func make(_ path: String) throws(Failure) {
    guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw Failure(
        "cannot make \(path): \(describe(errorNumber: errno))",
        cure: "Its parent must be a directory on a bpffs, and this needs root: mount -t bpf bpf /sys/fs/bpf")
    }
  }

  /// Whether there was anything to remove.
  @discardableResult
  static func remove(_ path: String) -> Bool {
    var removed = false
    for name in names where unsafe unlink("\(path)/\(name)") == 0 { removed = true }
    return unsafe rmdir(path) == 0 || removed
  }
}
