// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Yams

/// Turns what Yams composed into a ``DocumentNode``: gives every node its extent, expands aliases and merge keys,
/// and refuses what a configuration has no use for.
struct TreeBuilder {
  /// Levels of nesting. The schema needs six.
  static let maximumDepth = 24
  /// Nodes that all aliases of a file together may stand for.
  static let maximumExpansion = 20_000

  let source: SourceText
  let file: Int
  let findings: Findings
  let maskedKeys: [MaskedKey: String]
  let textIsClean: Bool
  private var anchors: [String: DocumentNode] = [:]
  private var expanded = 0

  init(
    source: SourceText, file: Int, findings: Findings, maskedKeys: [MaskedKey: String], textIsClean: Bool
  ) {
    self.source = source
    self.file = file
    self.findings = findings
    self.maskedKeys = maskedKeys
    self.textIsClean = textIsClean
  }

  mutating func build(_ root: Node) -> DocumentNode { node(root, path: "", depth: 0) }

  private mutating func node(_ node: Node, path: String, depth: Int) -> DocumentNode {
    let start = content(of: node)
    guard !start.hasTag else {
      findings.report(.error, .tag, at: start.place, path: path, "a tag (\"!…\") has no meaning here")
      return DocumentNode(.reported, at: start.place)
    }
    guard depth < Self.maximumDepth else {
      findings.report(.error, .tooDeep, at: start.place, path: path, "nested too deep")
      return DocumentNode(.reported, at: start.place)
    }
    let built: DocumentNode
    switch node {
    case .scalar(let scalar): built = self.scalar(scalar, at: start.place, path: path)
    case .sequence(let sequence):
      var items: [DocumentNode] = []
      for (index, item) in sequence.enumerated() {
        items.append(self.node(item, path: "\(path)[\(index)]", depth: depth + 1))
      }
      built = DocumentNode(.sequence(items), at: start.place)
    case .mapping(let mapping):
      let entries = self.entries(of: mapping, path: path, depth: depth)
      var place = start.place
      if let first = entries.first?.keyPlace, (first.line, first.column) == (place.line, place.column) {
        place = first
      }
      built = DocumentNode(.mapping(entries), at: place)
    case .alias: built = DocumentNode(.reported, at: start.place)
    }
    if let anchor = node.anchor?.rawValue { anchors[anchor] = built }
    return built
  }

  /// Where a node's content starts, past its anchor, and its extent; the place of its tag if it has one.
  private func content(of node: Node) -> (place: Place, hasTag: Bool) {
    let (line, start) = (node.mark?.line ?? 1, node.mark?.column ?? 1)
    var column = start
    while let first = source.scalar(line: line, column: column), first == "&" || first == "!" {
      let property = source.rest(line: line, column: column).prefix { $0 != " " && $0 != "," && $0 != "}" }
      let end = column + property.count
      if first == "!" {
        return (source.place(file: file, line: line, column: column, endColumn: end), hasTag: true)
      }
      column = end + source.rest(line: line, column: end).prefix { $0 == " " }.count
    }
    // Content on a later line: the anchor itself is the best place there is.
    if source.rest(line: line, column: column).first.map({ $0 == "#" }) ?? true { column = start }
    var end: Int?
    if case .scalar(let scalar) = node {
      end = source.end(ofScalar: unmasked(scalar.string), line: line, column: column)
    }
    return (source.place(file: file, line: line, column: column, endColumn: end), hasTag: false)
  }

  private mutating func scalar(_ scalar: Node.Scalar, at place: Place, path: String) -> DocumentNode {
    let isPlain = scalar.style == .plain
    if isPlain, scalar.string.unicodeScalars.first == StandIn.alias {
      return alias(String(scalar.string.unicodeScalars.dropFirst()), at: place, path: path)
    }
    let text = unmasked(scalar.string)
    if let character = text.unicodeScalars.first(where: { isForbidden($0) || $0 == "\t" }) {
      // Screening reported it, unless an escape or a line break brought it in.
      if character != StandIn.refused || textIsClean {
        let what = character == "\n" ? "a line break" : "a control character"
        findings.report(.error, .controlCharacter, at: place, path: path, "\(what) is not allowed in a value")
      }
      return DocumentNode(.reported, at: place)
    }
    return DocumentNode(.scalar(text, isPlain: isPlain), at: place)
  }

  private mutating func alias(_ name: String, at place: Place, path: String) -> DocumentNode {
    guard let target = anchors[name] else {
      // A seed that starts with an asterisk and lacks its quotes is still a secret.
      let anchor = path == "hash_seed" ? "with this name" : "\"&\(name)\""
      findings.report(
        .error, .unknownAlias, at: place, path: path, "no anchor \(anchor) stands before this alias",
        suggestion: nearestMatch(to: name, among: anchors.keys.sorted()).map { "*\($0)" })
      return DocumentNode(.reported, at: place)
    }
    expanded += target.size
    guard expanded <= Self.maximumExpansion else {
      findings.report(
        .error, .aliasExpansion, at: place, path: path,
        "the aliases of this file stand for more than \(Self.maximumExpansion) values")
      return DocumentNode(.reported, at: place)
    }
    return target
  }

  private mutating func entries(of mapping: Node.Mapping, path: String, depth: Int) -> [DocumentNode.Entry] {
    var entries: [DocumentNode.Entry] = []
    var firstPlaces: [String: Place] = [:]
    var merged: [DocumentNode] = []
    for (keyNode, valueNode) in mapping {
      guard let (key, isPlain, place) = self.key(keyNode, path: path) else { continue }
      let value = node(valueNode, path: path.isEmpty ? key : "\(path).\(key)", depth: depth + 1)
      if let first = firstPlaces[key] {
        findings.report(
          .error, .duplicateKey, at: place, path: path.isEmpty ? key : "\(path).\(key)",
          "key \"\(key)\" is given twice in one mapping", related: (first, "first given"))
        continue
      }
      firstPlaces[key] = place
      if key == "<<", isPlain {
        merged += self.mergeSources(value, path: path)
      } else {
        entries.append(DocumentNode.Entry(key: key, keyPlace: place, value: value))
      }
    }
    for case .mapping(let others) in merged.map(\.content) {
      for entry in others where firstPlaces[entry.key] == nil {
        firstPlaces[entry.key] = entry.keyPlace
        entries.append(entry)
      }
    }
    return entries
  }

  private func key(_ node: Node, path: String) -> (String, isPlain: Bool, Place)? {
    let start = content(of: node)
    guard case .scalar(let scalar) = node, !start.hasTag,
      scalar.style != .plain || scalar.string.unicodeScalars.first != StandIn.alias
    else {
      findings.report(.error, .complexKey, at: start.place, path: path, "a key must be a word")
      return nil
    }
    let mark = MaskedKey(line: scalar.mark?.line ?? 1, column: scalar.mark?.column ?? 1)
    let key = maskedKeys[mark] ?? unmasked(scalar.string)
    let end = source.end(ofScalar: key, line: start.place.line, column: start.place.column)
    let place = source.place(file: file, line: start.place.line, column: start.place.column, endColumn: end)
    if key.unicodeScalars.contains(where: { isForbidden($0) || $0 == "\t" }) {
      if textIsClean {
        findings.report(
          .error, .controlCharacter, at: place, path: path, "a control character is not allowed in a key")
      }
      return nil
    }
    return (key, scalar.style == .plain, place)
  }

  /// The mappings that a merge key names, the strongest first.
  private func mergeSources(_ value: DocumentNode, path: String) -> [DocumentNode] {
    switch value.content {
    case .mapping, .reported: return [value]
    case .sequence(let items): return items.flatMap { mergeSources($0, path: path) }
    case .scalar:
      findings.report(
        .error, .wrongType, at: value.place, path: path, "the merge key \"<<\" takes an alias of a mapping",
        expected: ["*ANCHOR"])
      return []
    }
  }
}
