// SPDX-License-Identifier: Apache-2.0

/// An effective value, as `config show` writes it and as differences compare it.
indirect enum Setting {
  /// A number, a word, a duration or an address: quoted only where YAML needs it.
  case plain(String)
  /// Text that may hold anything.
  case text(String)
  /// Written as a mask.
  case secret(String)
  case list([Setting])
  case section(Settings)
  /// Sections under names that the user chose.
  case named([(name: String, Settings)])

  static func optional(_ text: String?) -> Setting? { text.map(Setting.text) }

  var isCollection: Bool {
    switch self {
    case .plain, .text, .secret: false
    case .list(let items): items.contains { $0.isCollection }
    case .section, .named: true
    }
  }
}

/// The effective values of a section, in the order of the key table.
struct Settings {
  private let section: KeySection
  private var values: [String: Setting] = [:]

  init(_ section: KeySection, _ values: [String: Setting?]) {
    self.section = section
    for (name, value) in values { self[name] = value }
  }

  /// A value that is nil is not written.
  subscript(name: String) -> Setting? {
    get { values[name] }
    set {
      precondition(section.key(name) != nil, "\(section.noun) has no key \(name) in the table")
      values[name] = newValue
    }
  }

  var ordered: [(key: ConfigurationKey, value: Setting)] {
    section.keys.compactMap { key in values[key.name].map { (key, $0) } }
  }

  /// Whether it fits one line: it holds single values and lists of them only.
  var isFlat: Bool { !values.values.contains { $0.isCollection } }
}

// MARK: As YAML

extension Settings {
  /// One line for each key, or for each value where a value is a section of several levels.
  ///
  /// - Parameter indentation: spaces before each line.
  func lines(indentation: Int = 0) -> [String] {
    ordered.flatMap { $0.value.lines(after: $0.key.name + ":", indentation: indentation) }
  }

  /// The whole section in one line.
  fileprivate var flow: String {
    "{ \(ordered.map { "\($0.key.name): \($0.value.flow)" }.joined(separator: ", ")) }"
  }
}

extension Setting {
  /// The value in one line.
  fileprivate var flow: String {
    switch self {
    case .plain(let text): text.contains(":") ? "\"\(text)\"" : text
    case .text(let text): quoted(text)
    case .secret: quoted(seedMask)
    case .list(let items): "[\(items.map(\.flow).joined(separator: ", "))]"
    case .section(let settings): settings.flow
    case .named(let entries):
      "{ \(entries.map { "\(quoted($0.name)): \($0.1.flow)" }.joined(separator: ", ")) }"
    }
  }

  /// - Parameter start: the key, or the mark of a list's item.
  fileprivate func lines(after start: String, indentation: Int) -> [String] {
    let margin = String(repeating: " ", count: indentation)
    switch self {
    case .section(let settings) where !settings.isFlat:
      return [margin + start] + settings.lines(indentation: indentation + 2)
    case .list(let items) where isCollection:
      return [margin + start] + items.flatMap { $0.itemLines(indentation: indentation + 2) }
    case .named(let entries) where !entries.isEmpty:
      return [margin + start]
        + entries.flatMap { name, settings in
          Setting.section(settings).lines(after: quoted(name) + ":", indentation: indentation + 2)
        }
    default: return ["\(margin)\(start) \(flow)"]
    }
  }

  /// As an item of a list.
  private func itemLines(indentation: Int) -> [String] {
    let margin = String(repeating: " ", count: indentation)
    guard case .section(let settings) = self, !settings.isFlat else { return ["\(margin)- \(flow)"] }
    return settings.lines(indentation: 0).enumerated().map { "\(margin)\($0 == 0 ? "- " : "  ")\($1)" }
  }
}

/// A text as it is where no reader of YAML could mistake it for something else, in double quotes otherwise.
func quoted(_ text: String) -> String {
  let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
  let isPlain =
    text.utf8.first.map { (0x61...0x7A).contains($0) || $0 == 0x2F } == true
    && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x2D...0x39).contains($0) || $0 == 0x5F }
  guard !isPlain || words.contains(text) else { return text }
  // By scalars: a quote with a combining mark is one character, and still ends the text.
  let escaped = text.unicodeScalars.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
  return "\"\(escaped)\""
}

// MARK: As keys and values

extension Settings {
  /// Every single value with its key, as `check.interval` or `interfaces[0].name`. A list of single values is one.
  func leaves(below path: String = "") -> [(key: String, value: Setting)] {
    ordered.flatMap { key, value in value.leaves(at: path.isEmpty ? key.name : "\(path).\(key.name)") }
  }
}

extension Setting {
  fileprivate func leaves(at path: String) -> [(key: String, value: Setting)] {
    switch self {
    case .plain, .text, .secret: [(path, self)]
    case .section(let settings): settings.leaves(below: path)
    case .list(let items) where isCollection:
      items.enumerated().flatMap { $1.leaves(at: "\(path)[\($0)]") }
    case .list: [(path, self)]
    case .named(let entries): entries.flatMap { $1.leaves(below: "\(path).\($0)") }
    }
  }

  /// The value without quotes; a secret as it is.
  var bare: String {
    switch self {
    case .plain(let text), .text(let text), .secret(let text): text
    case .list(let items): "[\(items.map(\.bare).joined(separator: ", "))]"
    case .section, .named: flow
    }
  }
}
