// SPDX-License-Identifier: Apache-2.0

/// A node of the document with its type in the key table. Every read either returns a value or reports why it cannot.
struct Cursor {
  private let document: Document
  private let node: Document.Index
  /// The key table's entry for the value; nil at the root and at keys.
  let key: ConfigurationKey?

  /// - Parameter node: may be an alias.
  private init(_ document: Document, _ node: Document.Index, _ key: ConfigurationKey?) {
    self.document = document
    self.node = document.resolved(node)
    self.key = key
  }

  init(root document: Document) { self.init(document, document.root, nil) }

  var path: String { document.path(to: node) }
  var findings: Findings { document.findings }
  private var location: SourceLocation { document.location(of: node) }

  func error(
    _ code: Diagnostic.Code, _ message: @autoclosure () -> String,
    expected: @autoclosure () -> [String] = [], suggestion: @autoclosure () -> String? = nil,
    related: @autoclosure () -> (Cursor, String)? = nil
  ) {
    report(.error, code, message(), expected: expected(), suggestion: suggestion(), related: related())
  }

  func warning(
    _ code: Diagnostic.Code, _ message: @autoclosure () -> String,
    related: @autoclosure () -> (Cursor, String)? = nil
  ) {
    report(.warning, code, message(), expected: [], suggestion: nil, related: related())
  }

  private func report(
    _ severity: Diagnostic.Severity, _ code: Diagnostic.Code, _ message: @autoclosure () -> String,
    expected: @autoclosure () -> [String], suggestion: @autoclosure () -> String?,
    related: @autoclosure () -> (Cursor, String)?
  ) {
    findings.report(
      severity, code, at: location, path: path, isSecret: key?.isSecret == true, message(),
      expected: expected(), suggestion: suggestion(), related: related().map { ($0.location, $1) })
  }

  private func wrongType(_ expected: String, suggestion: String? = nil) {
    let found: String
    let isNull = document.isNull(node)
    switch document.kind(of: node) {
    case .reported, .alias: return
    case .plainScalar, .quotedScalar: found = isNull ? "nothing" : "a single value"
    case .mapping: found = "a mapping"
    case .sequence: found = "a list"
    }
    error(
      isNull ? .missingValue : .wrongType, "expected \(expected), found \(found)", expected: [expected],
      suggestion: suggestion)
  }

  var isList: Bool { document.kind(of: node) == .sequence }

  private var isScalar: Bool { [.plainScalar, .quotedScalar].contains(document.kind(of: node)) }

  /// The text of a single value.
  func text() -> String? {
    guard isScalar, !document.isNull(node) else {
      wrongType("a single value")
      return nil
    }
    return document.text(of: node)
  }

  /// The items of a list; nothing at all counts as an empty one.
  func items() -> Items? {
    if isList || document.isNull(node) { return Items(of: self) }
    wrongType("a list", suggestion: isScalar ? "[\(document.text(of: node))]" : nil)
    return nil
  }

  /// Of the children of a list; of none where there is nothing.
  fileprivate var indices: any IteratorProtocol<Document.Index> {
    isList ? document.children(of: node).makeIterator() : EmptyCollection().makeIterator()
  }

  fileprivate func item(_ index: Document.Index) -> Cursor { Cursor(document, index, key) }

  /// The entries of a mapping whose keys are names that the user chose. The key's cursor is at the key.
  func entries() -> Entries? { isMapping() ? Entries(of: self) : nil }

  fileprivate var entryIndices: any IteratorProtocol<(key: Document.Index, value: Document.Index)> {
    document.entries(of: node).makeIterator()
  }

  fileprivate func entry(_ index: (key: Document.Index, value: Document.Index)) -> Entries.Element {
    (key: Cursor(document, index.key, nil), value: Cursor(document, index.value, key))
  }

  /// The entries of a mapping whose keys the table names. Reports all others.
  ///
  /// - Parameters:
  ///   - section: the keys; nil: those of this cursor's own key.
  ///   - elsewhere: keys that only the main file may have.
  func fields(_ section: KeySection? = nil, elsewhere: KeySection? = nil) -> Fields? {
    guard let section = section ?? key?.type.section else { preconditionFailure("\(path) has no keys") }
    guard isMapping() else { return nil }
    let names = { section.keys.map(\.name) }
    var found: [Fields.Field] = []
    var misspelt: Set<String> = []
    for entry in document.entries(of: node) {
      let name = document.text(of: entry.key)
      let keyCursor = Cursor(document, entry.key, nil)
      if let key = section.key(name) {
        found.append(Fields.Field(key: keyCursor, value: Cursor(document, entry.value, key)))
      } else if elsewhere?.key(name) != nil {
        keyCursor.error(
          .notInDropIn, "key \"\(name)\" belongs in the main file, not in \(section.noun)",
          expected: names())
      } else {
        let reason = section.reasons[name]
        let suggestion = reason == nil ? findings.nearest(to: name, among: names()) : nil
        suggestion.map { _ = misspelt.insert($0) }
        keyCursor.error(
          .unknownKey,
          "unknown key \"\(findings.quotable(key: name))\" in \(section.noun)"
            + (reason.map { ": \($0)" } ?? ""),
          expected: names(), suggestion: suggestion)
      }
    }
    return Fields(owner: self, section: section, found: found, misspelt: misspelt)
  }

  private func isMapping() -> Bool {
    if document.kind(of: node) == .mapping || document.isNull(node) { return true }
    wrongType("a mapping (key: value)")
    return false
  }
}

/// The entries of a mapping, made one after the other like ``Items``.
struct Entries: Sequence, IteratorProtocol {
  private let mapping: Cursor
  private var indices: any IteratorProtocol<(key: Document.Index, value: Document.Index)>

  fileprivate init(of mapping: Cursor) {
    self.mapping = mapping
    indices = mapping.entryIndices
  }

  mutating func next() -> (key: Cursor, value: Cursor)? { indices.next().map(mapping.entry) }
}

/// The items of a list. They are made one after the other: an array of cursors takes more memory than a text of short items.
struct Items: Sequence, IteratorProtocol {
  private let list: Cursor
  private var indices: any IteratorProtocol<Document.Index>

  fileprivate init(of list: Cursor) {
    self.list = list
    indices = list.indices
  }

  mutating func next() -> Cursor? { indices.next().map(list.item) }

  var first: Cursor? { first { _ in true } }
  var isEmpty: Bool { first == nil }
  var count: Int { reduce(0) { count, _ in count + 1 } }

  /// As `compactMap`, but reserves the memory for all values at once: an array that grows takes up to three times as much.
  func values<Value>(_ read: (Cursor) -> Value?) -> [Value] {
    var values: [Value] = []
    values.reserveCapacity(count)
    for item in self {
      if let value = read(item) { values.append(value) }
    }
    return values
  }
}

extension ValueType {
  /// The keys of the mapping, of the items of the list, or of the entries of the mapping.
  var section: KeySection? {
    switch self {
    case .section(let section), .named(let section): section
    case .list(let item, minimum: _): item.section
    default: nil
    }
  }
}

/// What a mapping holds, by key.
struct Fields {
  struct Field {
    /// At the key rather than at its value.
    let key: Cursor
    let value: Cursor
  }

  let owner: Cursor
  let section: KeySection
  private let found: [Field]
  /// Keys that unknown ones were probably meant to be: that they are missing is not reported too.
  private let misspelt: Set<String>

  init(owner: Cursor, section: KeySection, found: [Field], misspelt: Set<String>) {
    self.owner = owner
    self.section = section
    self.found = found
    self.misspelt = misspelt
  }

  private func field(_ name: String) -> Field? {
    assert(section.key(name) != nil, "\(section.noun) has no key \(name) in the table")
    return found.first { $0.value.key?.name == name }
  }

  subscript(name: String) -> Cursor? { field(name)?.value }

  /// Whether there is a key besides this one.
  func has(otherThan name: String) -> Bool { found.contains { $0.value.key?.name != name } }

  /// At the key rather than at its value.
  func key(_ name: String) -> Cursor? { field(name)?.key }

  /// A value that must be there.
  func required(_ name: String) -> Cursor? {
    if let value = self[name] { return value }
    reportMissing([name])
    return nil
  }

  /// Reports that none of some keys is there, unless a misspelt one is.
  func reportMissing(_ names: [String]) {
    guard misspelt.isDisjoint(with: names) else { return }
    let quoted = names.map { "\"\($0)\"" }.joined(separator: " or ")
    owner.error(.missingKey, "\(section.noun) has no \(quoted)", expected: names)
  }
}

/// A value, and where it was written.
struct Located<Value> {
  let value: Value
  let cursor: Cursor

  init(_ value: Value, at cursor: Cursor) {
    self.value = value
    self.cursor = cursor
  }

  /// nil where there is no value.
  init?(_ value: Value?, _ cursor: Cursor) {
    guard let value else { return nil }
    self.init(value, at: cursor)
  }
}
