// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc

/// The changes that `up` made on this host, apart from pins: `down` reverts exactly these. It is written before each
/// change, so that an interrupted `up` leaves no unrecorded change.
struct HostRecord: Codable, Equatable {
  /// A setting that was changed.
  struct ChangedSetting: Codable, Equatable {
    let setting: Sysctl
    let before: Int
    let after: Int
  }

  var interface: String
  var mode: DecapsulationMode
  /// The directory in which the program and its maps are pinned.
  var pins: String
  /// VIPs that were not on `lo` before.
  var addedVIPs: [String] = []
  var changedSettings: [ChangedSetting] = []
  /// Whether it was brought up with `--shared-link`. Not in records of earlier versions.
  var sharedLink: Bool?

  /// Whether it needs ARP to be restricted to the receiving interface's addresses.
  var needsSilence: Bool { sharedLink ?? !changedSettings.isEmpty }
}

extension HostRecord {
  /// `nil` if there is none.
  static func read(_ path: String) throws -> HostRecord? {
    guard let octets = TextFile.read(path) else {
      guard errno == ENOENT else { throw TextFile.failed("read", path) }
      return nil
    }
    do {
      return try JSONDecoder().decode(HostRecord.self, from: Data(octets))
    } catch {
      throw Failure(
        "\(path) is damaged: \(error)",
        cure: "Remove it, run 'up' and 'down' again, then look for VIPs that remain on lo: ip address show lo"
      )
    }
  }

  func write(in directory: String) throws { try write("\(directory)/\(interface).json") }

  func write(_ path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try TextFile.replace(path, with: Array(try encoder.encode(self)) + [UInt8(ascii: "\n")])
  }
}
