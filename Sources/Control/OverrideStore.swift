// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// The runtime overrides on disk: `overrides.json` in the state directory, replaced as a whole.
///
/// An unreadable file is renamed to `overrides.json.set-aside-N`; invalid entries are written to such a file. An
/// operator removes it.
struct OverrideStore {
  private let file: StateFile
  private let directory: String
  private var path: String { file.path }
  /// What ``load(for:)`` could not use. It is set aside before the file is replaced.
  private var unused: Unused?

  private enum Unused {
    case file
    case entries([Any], why: [String])
  }

  init(directory: String) {
    self.directory = directory
    file = StateFile("overrides.json", in: directory)
  }

  /// The contents of the file.
  struct Loaded {
    var overrides: [BackendOverride] = []
    /// Why the file as a whole could not be read; nil if it could, or if there is none.
    var unreadable: String?
    /// The backends of invalid entries, and what is wrong with these.
    var rejected: [(backend: BackendKey?, why: String)] = []

    var isComplete: Bool { unreadable == nil && rejected.isEmpty }
  }

  private struct Document: Codable {
    var version = 1
    var overrides: [Record]
  }

  fileprivate struct Record: Codable {
    var pool: String
    var backend: String
    var presence: String
    var address: String?
    var state: String?
    var weight: Int?
    var by: String
    var at: Double
    var reason: String?
  }

  // MARK: Reading

  /// Reads the file, and changes none. The first ``save(_:)`` sets invalid contents aside, so that a start that is
  /// refused leaves the file as it was.
  /// - Parameter configured: the configuration, which entries are checked against, as requests are.
  mutating func load(for configured: DesiredState) -> Loaded {
    let data: Data
    do throws(StateFileError) {
      guard let read = try file.read() else {
        // There is none after a crash between setting it aside and saving.
        return setAside.isEmpty
          ? Loaded() : Loaded(unreadable: "\(path) was set aside, and none was saved since")
      }
      data = read
    } catch {
      return unreadable("cannot be read: \(error)")
    }
    guard let document = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
      document["version"] as? Int == 1, let entries = document["overrides"] as? [Any]
    else { return unreadable("is not JSON of version 1 with a list of overrides") }
    var loaded = Loaded()
    var refused: [Any] = []
    func refuse(_ entry: Any, _ why: String) {
      refused.append(entry)
      loaded.rejected.append((Self.backend(of: entry), why))
    }
    var valid: [(entry: Any, override: BackendOverride)] = []
    for entry in entries {
      switch Self.override(entry, for: configured) {
      case .success(let override): valid.append((entry, override))
      case .failure(let fault): refuse(entry, fault.why)
      }
    }
    // If two entries add one address, the first one applies.
    for index in valid.indices.reversed() {
      guard case .added = valid[index].override.presence else { continue }
      let others = valid.indices.filter { $0 != index }.map { valid[$0].override }
      guard let why = configured.addressFault(of: valid[index].override, beside: others) else { continue }
      refuse(valid[index].entry, why)
      valid.remove(at: index)
    }
    loaded.overrides = valid.map(\.override)
    unused = refused.isEmpty ? nil : .entries(refused, why: loaded.rejected.map(\.why))
    return loaded
  }

  private struct Fault: Error { var why: String }

  private static func override(
    _ entry: Any, for configured: DesiredState
  ) -> Result<BackendOverride, Fault> {
    guard JSONSerialization.isValidJSONObject(entry),
      let data = try? JSONSerialization.data(withJSONObject: entry),
      let record = try? JSONDecoder().decode(Record.self, from: data)
    else { return .failure(Fault(why: "it lacks a field, or one has a value of another kind")) }
    guard let override = BackendOverride(record) else {
      return .failure(Fault(why: "its presence, address or state is none"))
    }
    return configured.fault(of: override).map { .failure(Fault(why: $0)) } ?? .success(override)
  }

  private static func backend(of entry: Any) -> BackendKey? {
    let entry = entry as? [String: Any]
    guard let pool = entry?["pool"] as? String, let backend = entry?["backend"] as? String else { return nil }
    return BackendKey(pool: pool, backend: backend)
  }

  // MARK: Setting aside

  /// Files that an operator has to decide about, sorted.
  var setAside: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.filter { $0.hasPrefix("overrides.json.set-aside-") && !$0.hasSuffix(".new") }.sorted()
      .map { "\(directory)/\($0)" }
  }

  private mutating func unreadable(_ reason: String) -> Loaded {
    unused = .file
    return Loaded(unreadable: "\(path) \(reason)")
  }

  private mutating func setUnusedAside() throws(OverrideStoreError) {
    switch unused {
    case nil: return
    case .file:
      guard unsafe rename(path, freeName) == 0 || errno == ENOENT else {
        throw OverrideStoreError(
          reason: "\(path) cannot be read, nor set aside: \(unsafe String(cString: strerror(errno)))")
      }
    case .entries(let entries, let why):
      do {
        try write(entries, why)
      } catch {
        throw OverrideStoreError(
          reason: "\(path) has entries that are not valid, and they cannot be set aside: \(error)")
      }
    }
    unused = nil
  }

  private func write(_ entries: [Any], _ why: [String]) throws {
    let document: [String: Any] = ["version": 1, "overrides": entries, "why": why]
    let name = String(freeName.dropFirst(directory.count + 1))
    let data = try JSONSerialization.data(
      withJSONObject: document, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
    try StateFile(name, in: directory).replace(with: data)
  }

  private var freeName: String {
    var number = 1
    while unsafe access("\(path).set-aside-\(number)", F_OK) == 0 { number += 1 }
    return "\(path).set-aside-\(number)"
  }

  // MARK: Writing

  /// Replaces the file. A reader finds the old or the new one, also after a crash at any point.
  /// - Throws: also if invalid contents cannot be set aside. Each call tries that again.
  mutating func save(_ overrides: [BackendOverride]) throws(OverrideStoreError) {
    try setUnusedAside()
    do {
      try file.replace(with: Document(overrides: overrides.map { Record($0) }))
    } catch {
      throw OverrideStoreError(reason: "\(path) cannot be written: \(error)")
    }
  }
}

/// Why the overrides could not be written.
struct OverrideStoreError: Error, CustomStringConvertible {
  var reason: String
  var description: String { reason }
}

extension OverrideStore.Record {
  fileprivate init(_ override: BackendOverride) {
    pool = override.pool
    backend = override.backend
    switch override.presence {
    case .asConfigured: presence = "as_configured"
    case .removed: presence = "removed"
    case .added(let address):
      presence = "added"
      self.address = address.description
    }
    state = override.state?.rawValue
    weight = override.weight
    by = override.provenance.by
    at = override.provenance.at
    reason = override.provenance.reason
  }
}

extension BackendOverride {
  fileprivate init?(_ record: OverrideStore.Record) {
    let presence: Presence
    switch (record.presence, record.address.flatMap(IPAddress.init)) {
    case ("as_configured", _): presence = .asConfigured
    case ("removed", _): presence = .removed
    case ("added", let address?): presence = .added(address)
    default: return nil
    }
    let state = record.state.map(AdministrativeState.init(rawValue:))
    if case .some(.none) = state { return nil }
    self.init(
      pool: record.pool, backend: record.backend, presence: presence, state: state ?? nil,
      weight: record.weight,
      provenance: Provenance(by: record.by, at: record.at, reason: record.reason))
  }
}
