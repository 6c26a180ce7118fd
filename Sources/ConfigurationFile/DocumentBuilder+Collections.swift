// SPDX-License-Identifier: Apache-2.0

// Lists and mappings: equal keys, and merge keys.

extension DocumentBuilder {
  mutating func readItems(of list: Index, depth: Int, _ parser: inout YAMLParser) throws(DocumentError) {
    var position = 0
    while true {
      let event = try next(&parser)
      if case .collectionEnd = event.kind { break }
      route.append(.item(position))
      _ = try node(event, depth: depth + 1, &parser)
      route.removeLast()
      position += 1
    }
    document.close(list)
  }

  mutating func readEntries(
    of mapping: Index, depth: Int, _ parser: inout YAMLParser
  ) throws(DocumentError) {
    var isEmpty = true
    var keys = PositionTable()
    var merged: [Index] = []
    while true {
      let event = try next(&parser)
      if case .collectionEnd = event.kind { break }
      let (size, anchorsBefore) = (document.size, anchorChanges)
      guard let (key, isPlain) = try self.key(event, &parser) else {
        try skip(try next(&parser), &parser)
        continue
      }
      route.append(.key(key))
      defer { route.removeLast() }
      let value = try node(try next(&parser), depth: depth + 1, &parser)
      if let first = document.earlierKey(like: key, in: &keys) {
        report(
          .duplicateKey, at: document.location(of: key),
          "key \"\(findings.quotable(key: document.text(of: key)))\" is given twice in one mapping",
          related: (document.location(of: first), "first given"))
        document.hide(key, value)
        // Nothing refers to the second value, unless an anchor in it does.
        if anchorChanges == anchorsBefore { document.shrink(to: size) }
        continue
      }
      if isPlain, document.octets(of: key).elementsEqual("<<".utf8) {
        merged += mergeSources(value)
        document.hide(key, value)
        continue
      }
      if isEmpty { widen(mapping, to: key) }
      isEmpty = false
    }
    try merge(merged, &keys)
    document.close(mapping)
  }

  /// A block mapping starts where its first key does: then the key's extent is that of the mapping.
  private func widen(_ mapping: Index, to key: Index) {
    let (location, first) = (document.location(of: mapping), document.location(of: key))
    if (location.line, location.column) == (first.line, first.column) {
      document.setLocation(of: mapping, to: first)
    }
  }

  private mutating func key(
    _ event: YAMLEvent, _ parser: inout YAMLParser
  ) throws(DocumentError) -> (Index, isPlain: Bool)? {
    let start = content(of: event)
    guard document.count < Self.maximumValues else { throw .tooManyValues(start.location) }
    weight += 1
    guard case .scalar(let name, let isPlain) = event.kind, !start.hasTag else {
      report(.complexKey, at: start.location, "a key must be a word")
      try skip(event, &parser)
      return nil
    }
    guard forbidden(in: name) == nil else {
      if textIsClean {
        report(.controlCharacter, at: start.location, "a control character is not allowed in a key")
      }
      return nil
    }
    return (document.append(.quotedScalar, at: start.location, text: name), isPlain)
  }

  /// The mappings that a merge key names, the strongest first.
  private func mergeSources(_ value: Index) -> [Index] {
    let node = document.resolved(value)
    switch document.kind(of: node) {
    case .mapping: return [node]
    case .sequence: return document.children(of: node).flatMap(mergeSources)
    case .reported, .alias: return []
    case .plainScalar, .quotedScalar:
      report(
        .wrongType, at: document.location(of: node), "the merge key \"<<\" takes an alias of a mapping",
        expected: ["*ANCHOR"])
      return []
    }
  }

  /// Appends the entries of the sources whose keys the mapping does not have.
  private func merge(_ sources: [Index], _ keys: inout PositionTable) throws(DocumentError) {
    for source in sources {
      for (otherKey, value) in document.entries(of: source)
      where document.earlierKey(like: otherKey, in: &keys) == nil {
        let location = document.location(of: otherKey)
        guard document.count < Self.maximumValues else { throw .tooManyValues(location) }
        _ = document.append(.quotedScalar, at: location, text: document.text(of: otherKey))
        _ = document.appendAlias(of: document.resolved(value))
      }
    }
  }
}
