// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// The reference of all keys as tables in Markdown (docs/configuration.md) and as a manual page (sluice.yaml(5)).
public enum ConfigurationReference {
  /// A table of the reference, and the heading below which it stands.
  struct Part {
    /// The path of the section; `checks` and `checks by type` share one.
    let name: String
    let path: String
    let keys: [ConfigurationKey]
    /// Whether keys belong to types of checks.
    var isByType = false
  }

  static let parts: [Part] = {
    let main = KeyTable.main
    func section(_ name: String) -> [ConfigurationKey] { main.key(name)?.type.section?.keys ?? [] }
    let pool = KeyTable.pool.keys.filter { $0.name != "check" && $0.name != "backends" }
    return [
      Part(name: "main", path: "", keys: main.keys),
      Part(name: "node", path: "node", keys: section("node")),
      Part(name: "interfaces", path: "interfaces[]", keys: section("interfaces")),
      Part(name: "limits", path: "limits", keys: section("limits")),
      Part(name: "control", path: "control", keys: section("control")),
      Part(name: "status", path: "status", keys: section("status")),
      Part(name: "paths", path: "paths", keys: section("paths")),
      Part(name: "packets", path: "packets", keys: section("packets")),
      Part(name: "pools", path: "pools.NAME", keys: pool),
      Part(
        name: "checks", path: "pools.NAME.check",
        keys: KeyTable.checkSection.keys.filter { $0.checkTypes.isEmpty }),
      Part(
        name: "checks-by-type", path: "pools.NAME.check",
        keys: KeyTable.checkSection.keys.filter { !$0.checkTypes.isEmpty }, isByType: true),
      Part(name: "backends", path: "pools.NAME.backends[]", keys: KeyTable.backend.keys),
      Part(name: "services", path: "services[]", keys: KeyTable.service.keys),
    ]
  }()

  /// A key with the keys below it, if those are listed with it: `drain.timeout`.
  static func listed(_ key: ConfigurationKey, in part: Part, below prefix: String = "")
    -> [(name: String, key: ConfigurationKey)]
  {
    guard part.name != "main", let inner = key.type.section, inner.definition == nil else {
      return [(prefix + key.name, key)]
    }
    return inner.keys.flatMap { listed($0, in: part, below: "\(prefix)\(key.name).") }
  }

  static func effect(of name: String, in part: Part) -> String {
    let path = part.path.isEmpty ? name : part.path
    return KeyTable.needsRestart(path) ? "restart" : "reload"
  }

  // MARK: Markdown

  /// docs/configuration.md with its tables as the key table has them. Each is between `<!-- keys: NAME -->` and
  /// `<!-- end -->`.
  public static func updated(_ page: String) -> String {
    var lines: [Substring] = []
    var isOld = false
    for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
      if line == "<!-- end -->" { isOld = false }
      if !isOld { lines.append(line) }
      guard let part = parts.first(where: { line == "<!-- keys: \($0.name) -->" }) else { continue }
      isOld = true
      lines.append(Substring(table(part)))
    }
    return lines.joined(separator: "\n")
  }

  static func table(_ part: Part) -> String {
    let ofType = part.isByType ? " of type |" : ""
    var rows = [
      "| key |\(ofType) effect | default | value | meaning |",
      "|---|\(part.isByType ? "---|" : "")---|---|---|---|",
    ]
    for key in part.keys {
      for (name, key) in listed(key, in: part) {
        let types =
          part.isByType ? " \(key.checkTypes.map { "`\($0.rawValue)`" }.joined(separator: ", ")) |" : ""
        rows.append(
          "| `\(name)` |\(types) \(effect(of: name, in: part)) | \(key.fallback.text) "
            + "| \(key.type.valueText) | \(key.meaning) |")
      }
    }
    return rows.joined(separator: "\n")
  }
}

extension ConfigurationKey.Fallback {
  /// In Markdown.
  var text: String {
    switch self {
    case .value(let value): "`\(value)`"
    case .described(let text): text
    case .required: "required"
    case .none: "none"
    }
  }
}

extension ValueType {
  /// The values that a key takes, in Markdown.
  var valueText: String {
    switch self {
    case .section: return "mapping"
    case .named(let section): return "mapping of names to \(section.noun)s"
    case .list(.section(let section), minimum: _): return "list of \(section.noun)s"
    case .list(let item, minimum: _): return "list: \(item.valueText)"
    case .integer, .seconds, .duration, .percent, .requirement, .prime: return range ?? ""
    case .words(let words): return words.map { "`\($0)`" }.joined(separator: ", ")
    case .boolean: return "`true`, `false`"
    case .objectName: return "name"
    case .address: return "address"
    case .prefix(let family): return "`auto`, or an IPv\(family.rawValue) prefix from `/8`"
    case .ports: return "port and protocol"
    case .absolutePath: return "absolute path"
    case .socket(let maximum): return "absolute path, up to \(maximum) octets"
    case .text(let lengths): return "text, \(lengths.lowerBound) to \(lengths.upperBound) octets"
    case .octets(let counts):
      return "\(counts.lowerBound) to \(counts.upperBound) pairs of hexadecimal digits"
    case .expectation: return "statuses, or a code"
    case .other: return "text"
    }
  }

  /// The bounds of a number, in Markdown; nil where there are none.
  var range: String? {
    switch self {
    case .integer(let range): "\(range.lowerBound) to \(range.upperBound)"
    case .prime(let range): "a prime from \(range.lowerBound) to \(range.upperBound)"
    case .seconds(let range): "\(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
    case .duration(let range): "\(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
    case .percent(let range): "\(range.lowerBound)% to \(range.upperBound)%"
    case .requirement(let range): "\(range.lowerBound) to \(range.upperBound), or 0% to 100%"
    default: nil
    }
  }
}
