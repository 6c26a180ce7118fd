// SPDX-License-Identifier: Apache-2.0

/// A YAML document as a tree: aliases and merge keys resolved, every node with its place, no value typed yet.
struct DocumentNode {
  enum Content {
    /// - Parameter isPlain: written without quotes.
    case scalar(String, isPlain: Bool)
    case mapping([Entry])
    case sequence([DocumentNode])
    /// Something that was reported already: readers pass over it in silence.
    case reported
  }

  struct Entry {
    let key: String
    let keyPlace: Place
    let value: DocumentNode
  }

  let content: Content
  let place: Place
  /// Nodes in this subtree, itself included: what an alias to it costs.
  let size: Int

  init(_ content: Content, at place: Place) {
    self.content = content
    self.place = place
    switch content {
    case .scalar, .reported: size = 1
    case .mapping(let entries): size = entries.reduce(1) { $0 + 1 + $1.value.size }
    case .sequence(let items): size = items.reduce(1) { $0 + $1.size }
    }
  }

  /// A key without value: every entry below it may be commented out.
  var isNull: Bool {
    if case .scalar(let text, isPlain: true) = content { return ["", "~", "null"].contains(text) }
    return false
  }
}
