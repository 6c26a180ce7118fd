// SPDX-License-Identifier: Apache-2.0

extension BPFObject {
  /// Uses the map pinned at `path` instead of creating one. Throws if there is none, or if its type, sizes, entry count
  /// or flags differ from the object's declaration: set those first.
  public mutating func reuse(map name: String, pinnedAt path: String) throws(BPFError) {
    try reuse(map: name, try BPFDescriptor(pinned: path, kind: .map))
  }
}

extension LoadedObject {
  /// Pins a map of any type at a new path on bpffs, so that it outlives every process.
  public func pin(map name: String, at path: String) throws(BPFError) {
    try mapDescriptor(name).pin(at: path)
  }
}
