// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing

/// What a reading of a configuration leaves for the next one: the drop-ins that were read without a finding, parsed.
///
/// What a drop-in means by itself depends on its octets and on the main file's, and on nothing else. So a drop-in is
/// taken over where both are the same. What depends on several files, such as names that must be unique, is checked at
/// each reading.
struct KnownFiles {
  /// Octets of the drop-ins that are kept. Parsed, a file may take twenty times its octets. Further files are parsed at
  /// each reading.
  static let maximumOctets = 16 << 20

  /// The main file, which has the defaults and limits that apply to the drop-ins.
  private let main: [UInt8]
  /// Whether the main file could be read.
  var hasMain = false
  /// By path.
  private var kept: [String: Kept] = [:]
  private var octets = 0
  /// The pools of the last configuration that was assembled, by their names.
  private(set) var pools: [String: Pool] = [:]

  private struct Kept {
    var file: KnownFile
    /// Its index among the files of the reading.
    var index: Int
    /// The index of its first pool among the pools of the reading.
    var firstPool: Int
  }

  init(main: [UInt8]) { self.main = main }

  /// The files that need not be parsed again, by their index.
  func reusable(in found: FoundFiles) -> [Int: KnownFile] {
    guard hasMain, isSame(main, found.files[0].octets), !found.unreadable.contains(where: { $0.file == 0 })
    else { return [:] }
    var reusable: [Int: KnownFile] = [:]
    for (index, file) in found.files.enumerated().dropFirst() {
      if let known = kept[file.path]?.file, isSame(known.octets, file.octets) { reusable[index] = known }
    }
    return reusable
  }

  mutating func append(_ file: KnownFile, at index: Int, firstPool: Int) {
    guard octets + file.octets.count <= Self.maximumOctets else { return }
    octets += file.octets.count
    kept[file.text.path] = Kept(file: file, index: index, firstPool: firstPool)
  }

  /// Keeps the pools of a configuration that was assembled from these files.
  /// - Parameter findings: of the whole reading.
  mutating func note(_ configuration: Configuration, _ findings: Findings) {
    let pools = configuration.desired.pools
    let flawed = findings.concernedFiles
    for (path, kept) in kept {
      // A finding about a pool stands in its file, or at the default that it inherits.
      let isFlawless = flawed.map { !$0.contains(0) && !$0.contains(kept.index) } ?? false
      for index in kept.file.pools.indices {
        self.kept[path]?.file.pools[index].known = Box(
          KnownPool(pool: pools[kept.firstPool + index], isFlawless: isFlawless))
      }
    }
    self.pools = Dictionary(pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }
}

/// A drop-in that was read without a finding.
struct KnownFile {
  /// As read.
  let octets: [UInt8]
  let text: SourceText
  let document: Document
  fileprivate(set) var pools: [PoolDraft]
  let services: [ServiceDraft]

  init(octets: [UInt8], text: SourceText, document: Document, pools: [PoolDraft], services: [ServiceDraft]) {
    (self.octets, self.text, self.document) = (octets, text, document)
    (self.pools, self.services) = (pools, services)
  }
}

/// What a pool came to.
struct KnownPool {
  let pool: Pool
  /// Whether the checks of the pool alone found nothing.
  let isFlawless: Bool
}

private func isSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  guard left.count == right.count else { return false }
  return unsafe left.withUnsafeBytes { left in
    unsafe right.withUnsafeBytes { right in
      guard let a = left.baseAddress, let b = right.baseAddress else { return true }
      return unsafe memcmp(a, b, left.count) == 0
    }
  }
}
