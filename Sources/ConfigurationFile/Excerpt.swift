// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Source lines in diagnostics. Diagnostics are logged, and members of the status socket's group read them, so that no
/// line may show a secret: the value of `hash_seed`, also where the key is mistyped.
extension Findings {
  /// The line of a location, with secrets masked, and without control characters.
  func excerpt(of location: SourceLocation) -> String? {
    guard let line = line(location.line, of: location.file).shown else { return nil }
    if location.line > 1 {
      // A long line before it may end with the seed's key.
      guard let before = self.line(location.line - 1, of: location.file).shown,
        !secretValues(in: before).contains(where: \.isEmpty)
      else { return nil }
    }
    let secrets = secretValues(in: line)
    var view = String.UnicodeScalarView()
    for (index, scalar) in line.enumerated() {
      let isSecret = secrets.contains { $0.contains(index) }
      view.append(isSecret ? "*" : isForbidden(scalar) ? "\u{FFFD}" : scalar)
    }
    return String(view)
  }

  /// Which parts of a line are values of secret keys, rather too much than too little. Empty ranges: values that must be
  /// on the next line.
  private func secretValues(in line: [Unicode.Scalar]) -> [Range<Int>] {
    var values: [Range<Int>] = []
    var start = 0
    while let first = line[start...].firstIndex(where: isOfKey) {
      let end = line[first...].firstIndex { !isOfKey($0) } ?? line.endIndex
      start = end
      var key = String.UnicodeScalarView()
      key.append(contentsOf: line[first..<end])
      guard let colon = line[end...].firstIndex(where: { $0 != "\"" && $0 != "'" && $0 != " " }),
        line[colon] == ":", resemblesSecretKey(String(key))
      else { continue }
      let value = value(after: colon, in: line)
      values.append(value)
      start = max(end, value.upperBound)
    }
    return values
  }

  private func isOfKey(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_" || scalar == "-"
  }

  private func value(after colon: Int, in line: [Unicode.Scalar]) -> Range<Int> {
    let value = line[(colon + 1)...].drop { $0 == " " }
    guard let first = value.first, first != "|", first != ">", first != "#" else { return colon..<colon }
    let isQuoted = first == "\"" || first == "'"
    guard isQuoted, let quote = value.dropFirst().firstIndex(of: first) else {
      return value.startIndex..<line.endIndex
    }
    let next = line[(quote + 1)...].first { $0 != " " }
    return value.startIndex..<(next.map { [",", "}", "#"].contains($0) } ?? true ? quote + 1 : line.endIndex)
  }
}
