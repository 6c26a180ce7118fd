// SPDX-License-Identifier: Apache-2.0

extension BPFObject {
  /// Gives the object's map the map pinned at `path` in place of a new one. Throws when there is none, or when it
  /// differs in type, sizes, entry count or flags from what the object declares: set those first.
  public mutating func reuse(map name: String, pinnedAt path: String) throws(BPFError) {
    try reuse(map: name, try BPFDescriptor(pinned: path, kind: .map))
  }
}

extension LoadedObject {
  /// Makes a map outlive every process, under a path on bpffs that does not exist yet, whatever its type.
  public func pin(map name: String, at path: String) throws(BPFError) {
    try mapDescriptor(name).pin(at: path)
  }
}
