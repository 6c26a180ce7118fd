// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing

/// The seed of `config/sluice.example.yaml`, which is no secret.
let exampleSeed = "replace-this-with-a-secret-of-your-own"

/// The mask that ``describe(_:)`` writes instead of the seed.
let seedMask = "***************** masked *****************"

/// The secret of the flow hash, given here or in a file of its own. Messages never quote it.
func readHashSeed(_ fields: Fields, seedFile: (String) throws -> SeedFile) -> String? {
  if let inline = fields.key("hash_seed"), let other = fields.key("hash_seed_file") {
    other.error(
      .conflictingKeys, "hash_seed and hash_seed_file exclude each other",
      related: (inline, "the other one is"))
    return nil
  }
  if let inline = fields["hash_seed"] {
    return inline.text().flatMap { check($0, from: "hash_seed", at: inline) }
  }
  guard let cursor = fields["hash_seed_file"] else {
    fields.reportMissing(["hash_seed", "hash_seed_file"])
    return nil
  }
  guard let path = cursor.absolutePath() else { return nil }
  do {
    let file = try seedFile(path)
    if file.isReadableByOthers {
      cursor.warning(.seedFilePermissions, "everyone may read \(path): set its mode to 0600 or 0640")
    }
    return check(trimmed(file.contents), from: "the seed in \(path)", at: cursor)
  } catch {
    let isForbidden = (error as? FileError)?.number == EACCES
    cursor.error(
      .seedFile, "cannot read \(path): \(error)",
      expected: isForbidden
        ? ["a file that the daemon's group may read: chgrp sluice \(path); chmod 640 \(path)"] : [])
    return nil
  }
}

/// A file's text without the blanks and line breaks around it.
private func trimmed(_ text: String) -> String {
  let blanks: Set<Unicode.Scalar> = [" ", "\t", "\r", "\n"]
  let body = text.unicodeScalars.drop { blanks.contains($0) }
  let end = body.lastIndex { !blanks.contains($0) }.map(body.index(after:)) ?? body.startIndex
  return String(body[..<end])
}

private func check(_ seed: String, from what: String, at cursor: Cursor) -> String? {
  guard seed != seedMask else {
    cursor.error(.maskedSeed, "\(what) is the mask that `config show` writes, not a seed")
    return nil
  }
  guard case .text(let lengths) = KeyTable.hashSeed.type else { return nil }
  guard seed.count >= lengths.lowerBound else {
    cursor.error(
      .seedTooShort, "\(what) has \(seed.count) characters: too easy to guess",
      expected: ["at least \(lengths.lowerBound) characters"])
    return nil
  }
  guard seed.utf8.count <= lengths.upperBound else {
    cursor.error(.outOfRange, "\(what) is longer than \(lengths.upperBound) bytes")
    return nil
  }
  if seed == exampleSeed || Set(seed).count == 1 {
    cursor.warning(
      .exampleSeed, "\(what) is no secret: whoever knows it can aim all load at one backend")
  }
  return seed
}
