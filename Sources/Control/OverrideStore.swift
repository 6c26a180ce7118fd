// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// The runtime overrides on disk: `overrides.json` in the state directory, replaced as a whole.
struct OverrideStore {
  private let directory: String
  private var path: String { directory + "/overrides.json" }

  init(directory: String) { self.directory = directory }

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
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
      let records = overrides.map { Record($0) }
      try replace(with: try encoder.encode(Document(overrides: records)))
    } catch {
      throw OverrideStoreError(path: path, reason: "cannot be written: \(error)")
    }
  }

  private func replace(with data: Data) throws {
    let new = path + ".new"
    let descriptor = unsafe open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o640)
    guard descriptor >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    do {
      try handle.write(contentsOf: data)
      try handle.synchronize()
    } catch {
      _ = unsafe unlink(new)
      throw error
    }
    guard unsafe rename(new, path) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    let folder = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if folder >= 0 {
      fsync(folder)
      close(folder)
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
