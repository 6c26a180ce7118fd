// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import FoundationEssentials
internal import Glibc
internal import SystemError

/// The directory on bpffs where the link and the sets of maps outlive the daemon. Its mode is the access control: who
/// can open a pin can rewrite the tables.
struct PinDirectory {
  let path: String

  /// Makes the directory (0700), and those above it on bpffs, where they are missing.
  init(_ path: String) throws(DataplaneError) {
    self.path = path
    // Nothing can be made where no bpffs is, and why not would hide what is missing.
    let above = Self.nearestDirectory(to: path)
    guard isOnBPFFileSystem(above) else {
      throw .pins(
        path: path,
        reason:
          "\(above) is not on bpffs; mount it: mount -t bpf bpf /sys/fs/bpf. In a container, give it the host's "
          + "/sys/fs/bpf; `ip netns exec` hides what is mounted there, `nsenter --net=/run/netns/NAME` does not"
      )
    }
    try make()
    guard unsafe access(path, R_OK | W_OK | X_OK) == 0 else {
      throw .pins(
        path: path,
        reason: "not open to user \(getuid()), who runs this; run it as the owner, or chown -R the directory")
    }
  }

  /// The path itself or, where that is not there, the nearest directory above it that is.
  private static func nearestDirectory(to path: String) -> String {
    var above = path[...]
    while !above.isEmpty, !pinExists(String(above)) {
      above = above[..<(above.lastIndex(of: "/") ?? above.startIndex)]
    }
    return above.isEmpty ? "/" : String(above)
  }

  /// The pin of an uplink's link.
  func link(of uplink: UplinkIndex) -> String { "\(path)/\(uplink.pinName)" }

  /// The pinned link of an uplink's XDP program; also if another process renamed its pin within the directory.
  func openLink(of uplink: UplinkIndex) -> BPFLink? {
    let moved = sets().flatMap { set in names(in: set.path).map { "\(set.path)/\($0)" } }
    let others = names(in: path).map { "\(path)/\($0)" }
    for path in [link(of: uplink)] + others + moved {
      if let link = try? BPFLink.openPinned(path: path), (try? link.info) != nil { return link }
    }
    return nil
  }

  func make() throws(DataplaneError) {
    var made = ""
    for part in path.split(separator: "/") {
      made += "/" + part
      try makeDirectory(made)
    }
  }

  /// The sets that are there, whole or not, the oldest first.
  func sets() -> [MapSet] {
    names(in: path).compactMap { name in
      guard name.hasPrefix("maps-"), let number = Int(name.dropFirst(5)),
        (1...MapSet.maximumNumber).contains(number)
      else { return nil }
      return MapSet(number: number, in: path)
    }.sorted { $0.number < $1.number }
  }

  /// Makes an empty set, newer than all others.
  func newSet() throws(DataplaneError) -> MapSet {
    let set = MapSet(number: (sets().last?.number ?? 0) + 1, in: path)
    try set.make()
    return set
  }

  /// Removes the maps that versions before the sets pinned in the directory itself.
  func removeMapsOutsideSets(named names: [String]) {
    for name in names + ["icmp_budgets"] { removePin("\(path)/\(name)") }
  }

  /// Removes the link and every set. The directory stays: it carries the ``PinLock``.
  func removePins() {
    for uplink in UplinkIndex.all { removePin(link(of: uplink)) }
    for set in sets() { set.remove() }
  }

  /// Removes the link, every set, and the directory, if nothing else is in it.
  ///
  /// A directory of another user stays: it was made for a daemon that could not make it again.
  func removeAll() {
    removePins()
    var status = stat()
    guard unsafe stat(path, &status) == 0, status.st_uid == geteuid() else { return }
    unsafe _ = rmdir(path)
  }
}

/// The pinned maps of one layout, in a directory of their own: `maps-N`. A set is whole while its `layout` is there,
/// which is the last to come and the first to go.
struct MapSet: Hashable {
  /// From 1; a set in use always has a lower one than a set that is made to replace it.
  let number: Int
  let path: String

  init(number: Int, in directory: String) {
    self.number = number
    path = "\(directory)/maps-\(number)"
  }

  /// What a 32-bit field of `layout` holds, with room for the sets to come.
  static let maximumNumber = 1 << 30

  func pin(of map: String) -> String { "\(path)/\(map)" }

  func make() throws(DataplaneError) { try makeDirectory(path) }

  func remove() {
    removePin(pin(of: "layout"))
    for name in names(in: path) { removePin("\(path)/\(name)") }
    unsafe _ = rmdir(path)
  }
}

func pinExists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

/// Removes what is at the path: a pin, or an empty directory that was made in its place.
func removePin(_ path: String) {
  if unsafe unlink(path) != 0, errno == EISDIR { unsafe _ = rmdir(path) }
}

private func names(in directory: String) -> [String] {
  (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
}

private func makeDirectory(_ path: String) throws(DataplaneError) {
  if pinExists(path) { return }
  if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST { return }
  throw .pins(path: path, reason: "cannot make the directory: \(describe(errorNumber: errno))")
}
