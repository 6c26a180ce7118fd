// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

private let mainKeys = [
  "version", "node", "interfaces", "hash_seed", "hash_seed_file", "defaults", "pools", "services", "packets",
  "limits", "control", "status", "paths",
]
private let dropInKeys = ["pools", "services"]

extension Draft {
  /// Reads the main file's root.
  init(main root: Cursor, seedFile: (String) throws -> SeedFile) {
    self.init(root: root)
    guard let fields = root.fields(of: "the configuration", mainKeys) else { return }
    if let version = fields.required("version")?.text(), version != "1" {
      fields["version"]?.error(
        .unsupportedVersion, "version \"\(version)\" of the schema is not supported", expected: ["1"])
    }
    node.name = fields["node"]?.fields(of: "node", ["name"])?["name"]?.name(of: "node name")
    node.interface = readInterfaces(fields)
    node.hashSeed = readHashSeed(fields, seedFile: seedFile)
    fields["packets"].map { packets = readPackets($0) }
    fields["limits"].map { limits = readLimits($0) }
    fields["defaults"].map { defaults = readDefaults($0) }
    fields["control"].map { readControl($0, into: &node) }
    fields["status"].map { readStatus($0, into: &node) }
    fields["paths"].map { readPaths($0, into: &node) }
    readPoolsAndServices(fields)
  }

  /// Reads the root of a file of `conf.d`.
  mutating func add(dropIn root: Cursor) {
    guard let fields = root.fields(of: "a drop-in file", dropInKeys, elsewhere: mainKeys) else { return }
    readPoolsAndServices(fields)
  }

  private mutating func readPoolsAndServices(_ fields: Fields) {
    pools +=
      fields["pools"]?.entries()?.map { [check = defaults.health.check] entry in
        readPool(key: entry.key, value: entry.value, defaults: check)
      } ?? []
    services += fields["services"]?.items()?.map(readService) ?? []
  }
}

private func readDefaults(_ cursor: Cursor) -> DefaultsDraft {
  var draft = DefaultsDraft()
  let keys = ["encapsulation", "hash", "table_size", "settle", "drain", "require", "affinity"] + healthKeys
  guard let fields = cursor.fields(of: "defaults", keys) else { return draft }
  draft.hash = fields["hash"]?.word("hash", as: HashFields.self)
  draft.tableSize = fields["table_size"].flatMap(readTableSize)
  draft.settle = fields["settle"].flatMap(readSettle)
  fields["drain"].map { draft.drain = readDrain($0) }
  draft.require = fields["require"].flatMap(readRequire)
  fields["encapsulation"].map { draft.encapsulation = readEncapsulation($0) }
  fields["affinity"].map { draft.affinity = readAffinity($0) }
  draft.health = readHealth(fields, defaults: nil)
  return draft
}
