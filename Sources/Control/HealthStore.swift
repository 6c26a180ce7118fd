// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// Which backends their health keeps out of use, on disk: `health.json` in the state directory.
///
/// The installed state shows the same, and is what counts, as long as this version can read it. The file is for the
/// start that replaces a running forwarder whose maps it cannot read: else a change of version would begin with no
/// backend in use.
struct HealthStore {
  struct Absentee: Codable, Hashable, Comparable {
    var pool: String
    var backend: String
    var address: String

    init(_ name: BackendKey, _ address: IPAddress) {
      pool = name.pool
      backend = name.backend
      self.address = address.description
    }

    static func < (left: Absentee, right: Absentee) -> Bool {
      (left.pool, left.backend, left.address) < (right.pool, right.backend, right.address)
    }
  }

  private struct Document: Codable {
    var version = 1
    var outOfUse: [Absentee]

    init(outOfUse: [Absentee]) { self.outOfUse = outOfUse }

    /// Entries that are none are left out; the others count.
    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      version = try container.decode(Int.self, forKey: .version)
      outOfUse = try container.decode([Entry].self, forKey: .outOfUse).compactMap(\.absentee)
    }

    private struct Entry: Decodable {
      var absentee: Absentee?

      init(from decoder: any Decoder) throws { absentee = try? Absentee(from: decoder) }
    }
  }

  private let file: StateFile
  /// As saved last by this process.
  private var saved: Set<Absentee>?

  init(directory: String) { file = StateFile("health.json", in: directory) }

  /// - Returns: what was saved; nil where nothing was that can be read.
  func load() -> Set<Absentee>? {
    let data = try? file.read()
    let document = data.flatMap { try? JSONDecoder().decode(Document.self, from: $0) }
    return document.flatMap { $0.version == 1 ? Set($0.outOfUse) : nil }
  }

  /// Replaces the file where it does not say this already.
  mutating func save(_ absentees: Set<Absentee>) throws {
    guard absentees != saved else { return }
    try file.replace(with: Document(outOfUse: absentees.sorted()))
    saved = absentees
  }
}
