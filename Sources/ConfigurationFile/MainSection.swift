// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

extension Draft {
  /// Reads the main file's root.
  init(main root: Cursor, seedFile: (String) throws -> SeedFile) {
    self.init(root: root)
    guard let fields = root.fields(KeyTable.main) else { return }
    if let version = fields.required("version")?.text(), version != "1" {
      fields["version"]?.error(
        .unsupportedVersion, "version \"\(version)\" of the schema is not supported", expected: ["1"])
    }
    node.name = fields["node"]?.fields()?["name"]?.name()
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
    guard let fields = root.fields(KeyTable.dropIn, elsewhere: KeyTable.main) else { return }
    readPoolsAndServices(fields)
  }

  /// Adds a file of `conf.d` that is known.
  mutating func add(_ file: KnownFile) {
    pools += file.pools
    services += file.services
  }

  /// Whether all pools of a known file are read.
  func hasRoom(for file: KnownFile) -> Bool { pools.count + file.pools.count <= mostPools }

  private var mostPools: Int { max(limits.values.pools, Self.mostPoolsAnyway) }

  private mutating func readPoolsAndServices(_ fields: Fields) {
    if let entries = fields["pools"]?.entries() {
      let most = mostPools
      pools.reserveCapacity(min(pools.count + entries.reduce(0) { count, _ in count + 1 }, most))
      for (key, value) in entries {
        guard pools.count < most else {
          unreadPools += 1
          continue
        }
        pools.append(readPool(key: key, value: value, defaults: defaults.health.check))
      }
    }
    if let items = fields["services"]?.items() { services += items.values(readService) }
  }
}

private func readDefaults(_ cursor: Cursor) -> DefaultsDraft {
  var draft = DefaultsDraft()
  guard let fields = cursor.fields() else { return draft }
  draft.settings = readPoolSettings(fields, defaults: nil)
  fields["affinity"].map { draft.affinity = readAffinity($0) }
  return draft
}
