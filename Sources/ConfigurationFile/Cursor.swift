// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// A node of the document with its name in the schema. Every read either gives a value or reports why not.
struct Cursor {
  let node: DocumentNode
  /// `pools.web.backends[1]`; empty at the root.
  let path: String
  let findings: Findings

  func error(
    _ code: Diagnostic.Code, _ message: String, expected: [String] = [], suggestion: String? = nil,
    related: (Cursor, String)? = nil
  ) {
    findings.report(
      .error, code, at: node.place, path: path, message, expected: expected, suggestion: suggestion,
      related: related.map { ($0.node.place, $1) })
  }

  func warning(_ code: Diagnostic.Code, _ message: String, related: (Cursor, String)? = nil) {
    findings.report(
      .warning, code, at: node.place, path: path, message, related: related.map { ($0.node.place, $1) })
  }

  private func wrongType(_ expected: String, suggestion: String? = nil) {
    let found: String
    switch node.content {
    case .reported: return
    case .scalar: found = node.isNull ? "nothing" : "a single value"
    case .mapping: found = "a mapping"
    case .sequence: found = "a list"
    }
    error(
      node.isNull ? .missingValue : .wrongType, "expected \(expected), found \(found)", expected: [expected],
      suggestion: suggestion)
  }

  /// The text of a single value.
  func text() -> String? {
    guard case .scalar(let text, _) = node.content, !node.isNull else {
      wrongType("a single value")
      return nil
    }
    return text
  }

  /// The items of a list; nothing at all counts as an empty one.
  func items() -> [Cursor]? {
    if case .sequence(let items) = node.content {
      return items.enumerated().map { index, item in
        Cursor(node: item, path: "\(path)[\(index)]", findings: findings)
      }
    }
    if node.isNull { return [] }
    if case .scalar(let text, _) = node.content {
      wrongType("a list", suggestion: "[\(text)]")
    } else {
      wrongType("a list")
    }
    return nil
  }

  /// The entries of a mapping whose keys are the user's own names. The key's cursor stands at the key.
  func entries() -> [(key: Cursor, value: Cursor)]? {
    guard let entries = mapping() else { return nil }
    return entries.map { entry in
      (key: keyCursor(entry), value: Cursor(node: entry.value, path: child(entry.key), findings: findings))
    }
  }

  /// The entries of a mapping whose keys the schema names. Reports all others.
  ///
  /// - Parameters:
  ///   - noun: what the mapping describes, for messages.
  ///   - elsewhere: keys that only the main file may have.
  ///   - reasons: why some keys, which others expect here, do not exist.
  func fields(
    of noun: String, _ allowed: [String], elsewhere: [String] = [], reasons: [String: String] = [:]
  ) -> Fields? {
    guard let entries = mapping() else { return nil }
    var values: [String: Cursor] = [:]
    var keys: [String: Cursor] = [:]
    var misspelt: Set<String> = []
    for entry in entries {
      let keyCursor = keyCursor(entry)
      if allowed.contains(entry.key) {
        values[entry.key] = Cursor(node: entry.value, path: child(entry.key), findings: findings)
        keys[entry.key] = keyCursor
      } else if elsewhere.contains(entry.key) {
        keyCursor.error(
          .notInDropIn, "key \"\(entry.key)\" belongs in the main file, not in \(noun)", expected: allowed)
      } else {
        let reason = reasons[entry.key]
        let suggestion = reason == nil ? nearestMatch(to: entry.key, among: allowed) : nil
        suggestion.map { _ = misspelt.insert($0) }
        keyCursor.error(
          .unknownKey, "unknown key \"\(entry.key)\" in \(noun)" + (reason.map { ": \($0)" } ?? ""),
          expected: allowed, suggestion: suggestion)
      }
    }
    return Fields(owner: self, noun: noun, values: values, keys: keys, misspelt: misspelt)
  }

  private func mapping() -> [DocumentNode.Entry]? {
    if case .mapping(let entries) = node.content { return entries }
    if node.isNull { return [] }
    wrongType("a mapping (key: value)")
    return nil
  }

  private func child(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  private func keyCursor(_ entry: DocumentNode.Entry) -> Cursor {
    Cursor(
      node: DocumentNode(.scalar(entry.key, isPlain: false), at: entry.keyPlace), path: child(entry.key),
      findings: findings)
  }
}

/// What a mapping says, by key.
struct Fields {
  let owner: Cursor
  let noun: String
  private let values: [String: Cursor]
  private let keys: [String: Cursor]
  /// Keys that others were probably meant to be: nobody needs to hear that they are missing.
  private let misspelt: Set<String>

  init(
    owner: Cursor, noun: String, values: [String: Cursor], keys: [String: Cursor], misspelt: Set<String>
  ) {
    self.owner = owner
    self.noun = noun
    self.values = values
    self.keys = keys
    self.misspelt = misspelt
  }

  subscript(key: String) -> Cursor? { values[key] }

  /// Stands at the key rather than at its value.
  func key(_ key: String) -> Cursor? { keys[key] }

  /// A value that must be there.
  func required(_ key: String) -> Cursor? {
    if let value = values[key] { return value }
    reportMissing([key])
    return nil
  }

  /// Says that none of some keys is there, unless a misspelt one is.
  func reportMissing(_ keys: [String]) {
    guard misspelt.isDisjoint(with: keys) else { return }
    let names = keys.map { "\"\($0)\"" }.joined(separator: " or ")
    owner.error(.missingKey, "\(noun) has no \(names)", expected: keys)
  }
}

/// A value that still knows where it was written.
struct Placed<Value> {
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
