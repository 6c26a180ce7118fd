// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// The runtime overrides on disk: `overrides.json` in the state directory, replaced as a whole.
struct OverrideStore {
  private let file: StateFile
  private var path: String { file.path }

  init(directory: String) { file = StateFile("overrides.json", in: directory) }

  fileprivate struct Document: Codable {
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

  /// - Returns: what was saved; nothing where no file is there.
  /// - Throws: ``OverrideStoreError`` where there is a file that cannot be read, or does not say what it should. The
  ///   latter is moved aside, to `overrides.json.unreadable`, so that the next change does not overwrite it.
  func load() throws(OverrideStoreError) -> [BackendOverride] {
    guard let data = FileManager.default.contents(atPath: path) else {
      if unsafe access(path, F_OK) != 0, errno == ENOENT { return [] }
      throw OverrideStoreError(path: path, reason: "cannot be read")
    }
    if let document = try? JSONDecoder().decode(Document.self, from: data), document.version == 1 {
      let overrides = document.overrides.compactMap { BackendOverride($0) }
      if overrides.count == document.overrides.count { return overrides }
    }
    _ = unsafe rename(path, path + ".unreadable")
    throw OverrideStoreError(path: path, reason: "is not readable as overrides; moved to \(path).unreadable")
  }

  /// Replaces the file: a reader, also after a crash at any point, finds the old or the new one.
  func save(_ overrides: [BackendOverride]) throws(OverrideStoreError) {
    do {
      try file.replace(with: Document(overrides: overrides.map { Record($0) }))
    } catch {
      throw OverrideStoreError(path: path, reason: "cannot be written: \(error)")
    }
  }
}

/// Why the overrides could not be read or written.
struct OverrideStoreError: Error, CustomStringConvertible {
  var path: String
  var reason: String
  var description: String { "\(path) \(reason)" }
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
