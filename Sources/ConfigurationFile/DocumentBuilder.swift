// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// Builds a ``Document`` from libyaml's events: gives every node its extent, expands aliases and merge keys, and refuses
/// what a configuration has no use for. Takes time and memory in proportion to the text.
struct DocumentBuilder {
  /// Levels of nesting. The schema needs six.
  static let maximumDepth = 24
  /// Nodes that all aliases of a file together may stand for.
  static let maximumExpansion = 20_000
  /// Keys, lists, mappings and single values of a file. One of 1 MiB that lists backends as tersely as possible has
  /// some 200 000.
  static let maximumValues = 262_144

  typealias Index = Document.Index
  private let source: SourceText
  let findings: Findings
  let textIsClean: Bool
  let document: Document
  private var anchors: [String: (node: Index, size: Int32)] = [:]
  private var expanded = 0
  /// Whether an alias was refused because of ``maximumExpansion``.
  private var isOverExpanded = false
  /// Nodes so far, those that aliases stand for included.
  var weight = 0
  /// How often ``anchors`` changed.
  private(set) var anchorChanges = 0
  /// The keys and positions that lead to what is being read.
  var route: [Step] = []
  enum Step {
    case key(Index)
    case item(Int)
  }
  /// The line that was looked at last, because nodes come in the order of the text.
  private var currentLine: (number: Int, scalars: [Unicode.Scalar]) = (0, [])

  init(source: SourceText, file: Int, findings: Findings, textIsClean: Bool) {
    self.source = source
    self.findings = findings
    self.textIsClean = textIsClean
    document = Document(file: file, findings: findings, octets: source.octets.count)
  }

  mutating func build(_ parser: consuming YAMLParser) throws(DocumentError) -> Document {
    var event = try next(&parser)
    while case .other = event.kind { event = try next(&parser) }
    if case .streamEnd = event.kind {
      document.root = document.append(
        .mapping, at: SourceLocation(file: document.file, line: 1, column: 1))
      document.close(document.root)
      return document
    }
    document.root = try node(event, depth: 0, &parser)
    _ = try next(&parser)
    let end = try next(&parser)
    guard case .streamEnd = end.kind else {
      throw .syntax(
        YAMLError(
          problem: "but found another document", mark: end.start,
          context: ("expected a single document in the stream", Mark(line: 1, column: 1))))
    }
    return document
  }

  func next(_ parser: inout YAMLParser) throws(DocumentError) -> YAMLEvent {
    do throws(YAMLError) { return try parser.next() } catch { throw .syntax(error) }
  }

  mutating func node(
    _ event: YAMLEvent, depth: Int, _ parser: inout YAMLParser
  ) throws(DocumentError) -> Index {
    let start = content(of: event)
    guard document.count < Self.maximumValues else { throw .tooManyValues(start.location) }
    weight += 1
    if start.hasTag {
      let node = document.append(.reported, at: start.location)
      report(.tag, at: start.location, "a tag (\"!…\") has no meaning here")
      try skip(event, &parser)
      return node
    }
    guard depth < Self.maximumDepth else { throw .tooDeep(start.location) }
    let before = weight - 1
    let node: Index
    switch event.kind {
    case .alias(let name): return alias(name, at: start.location)
    case .scalar(let text, let isPlain):
      node = scalar(text, isPlain: isPlain, at: start.location)
    case .sequenceStart:
      node = document.append(.sequence, at: start.location)
      try readItems(of: node, depth: depth, &parser)
    case .mappingStart:
      node = document.append(.mapping, at: start.location)
      try readEntries(of: node, depth: depth, &parser)
    case .other, .streamEnd, .documentEnd, .collectionEnd:
      node = document.append(.reported, at: start.location)
    }
    if let anchor = event.anchor {
      anchors[anchor] = (node, Int32(clamping: weight - before))
      anchorChanges += 1
    }
    return node
  }

  /// Passes over the rest of a node.
  func skip(_ event: YAMLEvent, _ parser: inout YAMLParser) throws(DocumentError) {
    var (depth, event) = (0, event)
    while true {
      switch event.kind {
      case .sequenceStart, .mappingStart: depth += 1
      case .collectionEnd: depth -= 1
      default: break
      }
      guard depth > 0 else { return }
      event = try next(&parser)
    }
  }

  func report(
    _ code: Diagnostic.Code, at location: SourceLocation, _ message: @autoclosure () -> String,
    expected: [String] = [], suggestion: @autoclosure () -> String? = nil,
    related: (SourceLocation, String)? = nil
  ) {
    findings.report(
      .error, code, at: location, path: path, message(), expected: expected, suggestion: suggestion(),
      related: related)
  }

  private var path: String {
    let parts = route.map { step in
      switch step {
      case .key(let key): ".\(shortened(document.text(of: key)))"
      case .item(let position): "[\(position)]"
      }
    }
    return String(parts.joined().drop { $0 == "." })
  }

  // MARK: Places

  /// Where a node's content starts, past its anchor, and its extent; where its tag is if it has one.
  mutating func content(of event: YAMLEvent) -> (location: SourceLocation, hasTag: Bool) {
    let line = event.start.line
    var column = event.start.column
    if event.anchor != nil || event.hasTag {
      let text = scalars(ofLine: line)
      func at(_ column: Int) -> Unicode.Scalar? {
        text.indices.contains(column - 1) ? text[column - 1] : nil
      }
      while let first = at(column), first == "&" || first == "!" {
        let length = text[(column - 1)...].prefix { $0 != " " && $0 != "," && $0 != "}" }.count
        if first == "!" {
          let location = SourceLocation(
            file: document.file, line: line, column: column, endColumn: column + length)
          return (location, hasTag: true)
        }
        column += length
        while at(column) == " " { column += 1 }
      }
      // Content on a later line: the anchor itself is the best location there is.
      if at(column) ?? "#" == "#" { column = event.start.column }
      if event.hasTag {
        return (SourceLocation(file: document.file, line: line, column: column), hasTag: true)
      }
    }
    var location = SourceLocation(file: document.file, line: line, column: column)
    if case .scalar = event.kind {
      // Of a text of several lines, the part on the first; a report cuts it at the end of the line.
      location.endColumn = event.end.line == line ? max(event.end.column, column + 1) : Int(Int32.max)
    } else if case .alias = event.kind {
      location.endColumn = max(event.end.column, column + 1)
    }
    return (location, hasTag: false)
  }

  private mutating func scalars(ofLine number: Int) -> [Unicode.Scalar] {
    if currentLine.number != number {
      currentLine = (number, source.line(number))
      findings.steps += currentLine.scalars.count
    }
    return currentLine.scalars
  }

  // MARK: Values

  private func scalar(_ text: String, isPlain: Bool, at location: SourceLocation) -> Index {
    if let character = forbidden(in: text) {
      // Screening reported it, unless an escape or a line break brought it in.
      if character != refusedScalar || textIsClean {
        let what = character == "\n" ? "a line break" : "a control character"
        report(.controlCharacter, at: location, "\(what) is not allowed in a value")
      }
      return document.append(.reported, at: location)
    }
    return document.append(isPlain ? .plainScalar : .quotedScalar, at: location, text: text)
  }

  func forbidden(in text: String) -> Unicode.Scalar? {
    guard text.utf8.contains(where: { $0 < 0x20 || $0 >= 0x7F }) else { return nil }
    return text.unicodeScalars.first { isForbidden($0) || $0 == "\t" }
  }

  private mutating func alias(_ name: String, at location: SourceLocation) -> Index {
    guard let target = anchors[name] else {
      let node = document.append(.reported, at: location)
      // A seed that starts with an asterisk and lacks its quotes is still a secret.
      let anchor = isSecretKey(path) ? "with this name" : "\"&\(name)\""
      report(
        .unknownAlias, at: location, "no anchor \(anchor) stands before this alias",
        suggestion: similarAnchor(to: name))
      return node
    }
    guard expanded + Int(target.size) <= Self.maximumExpansion else {
      if !isOverExpanded {
        report(
          .aliasExpansion, at: location,
          "the aliases of this file stand for more than \(Self.maximumExpansion) values")
      }
      isOverExpanded = true
      return document.append(.reported, at: location)
    }
    expanded += Int(target.size)
    weight += Int(target.size) - 1
    return document.appendAlias(of: target.node)
  }

  private func similarAnchor(to name: String) -> String? {
    guard anchors.count <= 1000 else { return nil }
    return findings.nearest(to: name, among: anchors.keys.sorted()).map { "*\($0)" }
  }
}
