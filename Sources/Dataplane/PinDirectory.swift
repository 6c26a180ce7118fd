// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import Glibc

/// The directory on bpffs where link and maps outlive the daemon. Its mode is the access control: who can open a pin
/// can rewrite the tables.
struct PinDirectory {
  let path: String

  /// Makes the directory (0700), and those above it on bpffs, where they are missing.
  init(_ path: String) throws(DataplaneError) {
    self.path = path
    var made = ""
    for part in path.split(separator: "/") {
      made += "/" + part
      if exists(made) { continue }
      if unsafe mkdir(made, 0o700) != 0, errno != EEXIST {
        throw .pins(
          path: made, reason: "cannot make the directory: \(unsafe String(cString: strerror(errno)))")
      }
    }
    guard isOnBPFFileSystem(path) else {
      throw .pins(path: path, reason: "not on bpffs; mount it: mount -t bpf bpf /sys/fs/bpf")
    }
  }

  func pin(of map: String) -> String { "\(path)/\(map)" }
  var link: String { "\(path)/link" }

  func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  func remove(_ path: String) { unsafe _ = unlink(path) }

  /// Removes the given pins and the directory, if nothing else is in it.
  func removeAll(maps: [String]) {
    for map in maps.reversed() { remove(pin(of: map)) }
    remove(link)
    unsafe _ = rmdir(path)
  }
}
