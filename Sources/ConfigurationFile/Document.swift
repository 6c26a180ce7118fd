// SPDX-License-Identifier: Apache-2.0

/// A YAML document as a tree in one array: aliases and merge keys resolved, every value with its location, nothing typed
/// yet. A value takes 16 octets and its text, because a text of two octets may be one.
///
/// A node's descendants follow it in the array. So a scalar needs no links, and a collection needs only its end.
final class Document {
  typealias Index = Int32

  enum Kind: UInt8 {
    /// Written without quotes.
    case plainScalar
    case quotedScalar
    /// Its children are keys and values in turn.
    case mapping
    case sequence
    /// Stands for another node.
    case alias
    /// A mistake that was reported: readers skip it silently.
    case reported
  }

  private struct Node {
    var location: PackedLocation
    /// A scalar: where its text starts in ``Document/texts``. A collection: the index after its last descendant. An alias:
    /// the node that it stands for.
    var content: Index = 0
    var kind: Kind
    /// Whether readers see it. They do not see merge keys and repeated keys, to whose anchors aliases may refer.
    var isVisible = true
  }

  private(set) var file: Int
  private(set) var findings: Findings
  private var nodes: [Node] = []
  /// UTF-8, each text after its length (``append(length:)``).
  private var texts: [UInt8] = []
  var root: Index = 0

  /// - Parameter octets: of the file. Space for its values is reserved at once, because an array that grows step by step
  ///   takes up to three times the memory. Memory that is never written is never taken.
  init(file: Int, findings: Findings, octets: Int) {
    self.file = file
    self.findings = findings
    nodes.reserveCapacity(min(octets / 2 + 16, DocumentBuilder.maximumValues))
    texts.reserveCapacity(octets + 16)
  }

  var count: Int { nodes.count }

  /// Reports to `findings` from now on, as a file of another reading.
  func belong(to file: Int, _ findings: Findings) {
    self.file = file
    self.findings = findings
  }

  // MARK: Building

  /// For ``shrink(to:)``.
  var size: (nodes: Int, texts: Int) { (nodes.count, texts.count) }

  /// Forgets the nodes that were appended since the document had a size. Nothing may refer to them.
  func shrink(to size: (nodes: Int, texts: Int)) {
    nodes.removeLast(nodes.count - size.nodes)
    texts.removeLast(texts.count - size.texts)
  }

  /// Appends a node to the children of the collection that is not closed yet.
  func append(_ kind: Kind, at location: SourceLocation, text: String? = nil) -> Index {
    var node = Node(location: PackedLocation(location), kind: kind)
    if let text {
      node.content = Index(texts.count)
      append(length: text.utf8.count)
      texts.append(contentsOf: text.utf8)
    }
    nodes.append(node)
    findings.steps += 1
    return Index(nodes.count - 1)
  }

  func appendAlias(of target: Index) -> Index {
    let index = append(.alias, at: location(of: target))
    nodes[Int(index)].content = target
    return index
  }

  /// Ends a mapping or a sequence: what is appended from now on follows it.
  func close(_ collection: Index) { nodes[Int(collection)].content = Index(nodes.count) }

  /// Hides a key and its value from readers.
  func hide(_ key: Index, _ value: Index) {
    nodes[Int(key)].isVisible = false
    nodes[Int(value)].isVisible = false
  }

  func setLocation(of node: Index, to location: SourceLocation) {
    nodes[Int(node)].location = PackedLocation(location)
  }

  /// Seven bits an octet, the lowest first; the top bit says that more follow.
  private func append(length: Int) {
    var rest = length
    while rest > 0x7F {
      texts.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    texts.append(UInt8(rest))
  }

  // MARK: Reading

  /// The node itself, or the one that it stands for.
  func resolved(_ node: Index) -> Index {
    var node = node
    while nodes[Int(node)].kind == .alias { node = nodes[Int(node)].content }
    return node
  }

  func kind(of node: Index) -> Kind { nodes[Int(node)].kind }

  func location(of node: Index) -> SourceLocation { nodes[Int(node)].location.inFile(file) }

  /// The text of a scalar; empty for any other node.
  func text(of node: Index) -> String { String(decoding: octets(of: node), as: UTF8.self) }

  /// The text of a scalar in UTF-8; empty for any other node.
  func octets(of node: Index) -> ArraySlice<UInt8> {
    guard [.plainScalar, .quotedScalar].contains(kind(of: node)) else { return [] }
    var (start, length, shift) = (Int(nodes[Int(node)].content), 0, 0)
    while true {
      let octet = texts[start]
      length |= Int(octet & 0x7F) << shift
      (start, shift) = (start + 1, shift + 7)
      if octet & 0x80 == 0 { return texts[start..<start + length] }
    }
  }

  /// The key of a mapping that has the text of `key`; `nil`: there was none, and now `keys` has this one.
  /// - Parameter keys: of the mapping.
  func earlierKey(like key: Index, in keys: inout PositionTable) -> Index? {
    keys.earlier(
      than: key,
      hash: { key in
        var hasher = Hasher()
        unsafe octets(of: key).withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        return hasher.finalize()
      },
      areEqual: { octets(of: $0) == octets(of: $1) })
  }

  /// The index after a node and its descendants.
  private func end(of node: Index) -> Index {
    switch kind(of: node) {
    case .mapping, .sequence: nodes[Int(node)].content
    case .plainScalar, .quotedScalar, .alias, .reported: node + 1
    }
  }

  /// The children of a mapping or a sequence.
  func children(of node: Index) -> some Sequence<Index> {
    let end = end(of: node)
    return sequence(state: node + 1) { next -> Index? in
      while next < end {
        let child = next
        next = self.end(of: child)
        if self.nodes[Int(child)].isVisible { return child }
      }
      return nil
    }
  }

  /// The entries of a mapping.
  func entries(of mapping: Index) -> some Sequence<(key: Index, value: Index)> {
    let children = children(of: mapping)
    return sequence(state: children.makeIterator()) { iterator -> (key: Index, value: Index)? in
      guard let key = iterator.next(), let value = iterator.next() else { return nil }
      return (key, value)
    }
  }

  /// A key without a value, as where every entry below it is commented out.
  func isNull(_ node: Index) -> Bool {
    guard kind(of: node) == .plainScalar else { return false }
    let octets = octets(of: node)
    return octets.isEmpty || octets.elementsEqual("~".utf8) || octets.elementsEqual("null".utf8)
  }

  /// `pools.web.backends[1]`: where a node was written, for messages. Empty at the root. Costs as much as its parents
  /// have children.
  func path(to node: Index) -> String {
    var parts: [String] = []
    var current = root
    while current != node {
      let parent = kind(of: current)
      var (child, position, key) = (current + 1, 0, current + 1)
      while end(of: child) <= node {
        child = end(of: child)
        position += 1
        if position.isMultiple(of: 2) { key = child }
        findings.steps += 1
      }
      parts.append(parent == .mapping ? ".\(shortened(text(of: key)))" : "[\(position)]")
      current = child
    }
    let path = parts.joined()
    return path.hasPrefix(".") ? String(path.dropFirst()) : path
  }
}

/// A location in one file in eight octets.
private struct PackedLocation {
  private static let width: UInt64 = 21
  /// A file has at most 1 MiB, so that only the end of a text of several lines does not fit: it reaches to the end of the
  /// first line.
  private static let most: UInt64 = (1 << width) - 1

  /// From the lowest bits: line, column, columns.
  private let bits: UInt64

  init(_ location: SourceLocation) {
    func field(_ number: Int) -> UInt64 { UInt64(min(max(number, 0), Int(Self.most))) }
    let columns = field(location.endColumn - location.column)
    bits = field(location.line) | field(location.column) << Self.width | columns << (2 * Self.width)
  }

  func inFile(_ file: Int) -> SourceLocation {
    func field(_ position: UInt64) -> Int { Int(bits >> (position * Self.width) & Self.most) }
    let (column, columns) = (field(1), field(2))
    return SourceLocation(file: file, line: field(0), column: column, endColumn: column + columns)
  }
}

/// A text that may be of any length, for messages.
func shortened(_ text: String) -> String {
  let maximum = 1000
  // Counting octets takes no time, counting characters does.
  guard text.utf8.count > maximum else { return text }
  return String(text.unicodeScalars.prefix(maximum)) + "…"
}
