// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// One key of the key table. The reader, the JSON Schema, `config show`, the differences between two
/// configurations and the reference pages derive from it.
public final class ConfigurationKey: Sendable {
  public let name: String
  let type: ValueType
  let fallback: Fallback
  /// What messages call the value; the key's name unless given.
  let label: String
  /// Whether `defaults` and a pool or a service share the key: the JSON Schema defines it once.
  let isShared: Bool
  /// Whether the value must not be shown.
  let isSecret: Bool
  /// Types of checks that have the key; empty: all.
  let checkTypes: [ProbeType]
  /// The first release with the key.
  let since: String
  /// The description in Markdown, without the range and the default.
  let meaning: String

  /// The value of a key that is not set.
  enum Fallback: Sendable {
    /// As a file writes it.
    case value(String)
    case described(String)
    /// The key must be there.
    case required
    /// Nothing.
    case none
  }

  init(
    _ name: String, _ type: ValueType, _ fallback: Fallback, label: String? = nil, isShared: Bool = false,
    isSecret: Bool = false, of checkTypes: [ProbeType] = [], since: String = "0.1", _ meaning: String
  ) {
    self.name = name
    self.type = type
    self.fallback = fallback
    self.label = label ?? name
    self.isShared = isShared
    self.isSecret = isSecret
    self.checkTypes = checkTypes
    self.since = since
    self.meaning = meaning
  }
}

/// A mapping whose keys the table names.
final class KeySection: Sendable {
  /// What the mapping describes, for messages.
  let noun: String
  let keys: [ConfigurationKey]
  /// Why some keys do not exist that other load balancers have here.
  let reasons: [String: String]
  /// The name of its definition in the JSON Schema, if it has one of its own.
  let definition: String?

  init(
    _ noun: String, definition: String? = nil, reasons: [String: String] = [:], _ keys: [ConfigurationKey]
  ) {
    self.noun = noun
    self.keys = keys
    self.reasons = reasons
    self.definition = definition
  }

  func key(_ name: String) -> ConfigurationKey? { keys.first { $0.name == name } }
}

/// What a key may hold.
indirect enum ValueType: Sendable {
  case section(KeySection)
  /// Sections under names that the user chooses.
  case named(KeySection)
  case list(ValueType, minimum: Int)
  case integer(ClosedRange<Int>)
  case prime(ClosedRange<Int>)
  /// Whole seconds.
  case seconds(ClosedRange<Int>)
  /// Whole milliseconds.
  case duration(ClosedRange<Duration>)
  case percent(ClosedRange<Int>)
  /// A number of backends, or a share of them.
  case requirement(ClosedRange<Int>)
  case words([String])
  case boolean
  /// The name of an object.
  case objectName
  case address
  case prefix(AddressFamily)
  case ports
  case absolutePath
  /// A path of at most this many octets.
  case socket(Int)
  /// Text; the range is its length in octets.
  case text(ClosedRange<Int>)
  /// Pairs of hexadecimal digits; the range is their number.
  case octets(ClosedRange<Int>)
  /// What `expect` of a check may hold, by type: statuses of HTTP or codes of DNS.
  case expectation
  /// Text with a syntax of its own, described in ``ConfigurationKey/meaning``.
  case other(pattern: String?)

  static func words<Choice: RawRepresentable<String> & CaseIterable>(of choice: Choice.Type) -> ValueType {
    .words(choice.allCases.map(\.rawValue))
  }

  /// In seconds.
  static let week = 7 * 86_400
}

/// The table of all keys. Its parts are in the files `KeyTable+….swift`.
enum KeyTable {
  /// The main file. ``restart`` names the keys that need a restart.
  static let main = KeySection(
    "the configuration",
    [
      ConfigurationKey(
        "version", .words(["1"]), .required, "The version of the configuration schema."),
      ConfigurationKey("node", .section(node), .none, "The balancer itself."),
      ConfigurationKey(
        "interfaces", .list(.section(interface), minimum: 1), .required,
        "The interface that the forwarder is attached to. A list with one entry for now."),
      hashSeed, hashSeedFile,
      ConfigurationKey("limits", .section(limits), .none, "Sizes of the kernel's tables."),
      ConfigurationKey("control", .section(control), .none, "The socket for changes."),
      ConfigurationKey("status", .section(status), .none, "The socket for queries."),
      ConfigurationKey("paths", .section(paths), .none, "Directories."),
      ConfigurationKey(
        "packets", .section(packets), .none, "Treatment of packets that concern a VIP but no service."),
      ConfigurationKey(
        "defaults", .section(defaults), .none,
        "Values for pools and services that do not set a key themselves."),
      ConfigurationKey("pools", .named(pool), .none, "Sets of backends, by name."),
      ConfigurationKey("services", .list(.section(service), minimum: 0), .none, "What clients connect to."),
    ])

  /// A file of `conf.d`.
  static let dropIn = KeySection("a drop-in file", ["pools", "services"].compactMap(main.key))

  /// Keys of the main file whose values take effect when the daemon starts. All others take effect with a reload.
  static let restart: Set<String> = [
    "node", "interfaces", "hash_seed", "hash_seed_file", "limits", "control", "status", "paths",
  ]

  /// - Parameter path: `limits.flows`, `interfaces[0].name`.
  static func needsRestart(_ path: String) -> Bool {
    restart.contains(String(path.prefix { $0 != "." && $0 != "[" }))
  }
}

/// Whether the value of a key of the main file must not be shown.
func isSecretKey(_ path: String) -> Bool { KeyTable.main.key(path)?.isSecret == true }

/// Whether a word is a secret key, or likely to be meant for one: `hash-seed`, `hashSeed`, `seed`, `hash_sed`.
func resemblesSecretKey(_ word: String) -> Bool {
  if let key = KeyTable.main.key(word) { return key.isSecret }
  let letters = word.lowercased().filter { $0 != "_" && $0 != "-" }
  let secrets = KeyTable.main.keys.lazy.filter(\.isSecret).map { $0.name.filter { $0 != "_" } }
  return letters.contains("seed") || nearestMatch(to: letters, among: secrets) != nil
}
