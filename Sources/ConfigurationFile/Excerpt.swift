// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Source lines in diagnostics. Diagnostics are logged, and members of the status socket's group read them, so that no
/// line may show a secret: the value of `hash_seed`, also where the key is mistyped.
extension Findings {
  /// The line of a location, with secrets masked, and without control characters.
  func excerpt(of location: SourceLocation) -> String? {
    guard let line = line(location.line, of: location.file).shown, !continuesSecret(location) else {
      return nil
    }
    let secrets = secretValues(in: line)
    var view = String.UnicodeScalarView()
    for (index, scalar) in line.enumerated() {
      let isSecret = secrets.contains { $0.range.contains(index) }
      view.append(isSecret ? "*" : isForbidden(scalar) ? "\u{FFFD}" : scalar)
    }
    return String(view)
  }

  /// Whether a value that began on an earlier line may go on here: in a block, or within quotes. Such lines are indented
  /// deeper than the key.
  private func continuesSecret(_ location: SourceLocation) -> Bool {
    func indentation(_ line: [Unicode.Scalar]) -> Int? { line.firstIndex { $0 != " " } }
    var least = line(location.line, of: location.file).shown.flatMap(indentation) ?? 0
    for number in stride(from: location.line - 1, through: max(1, location.line - 50), by: -1) {
      // A line that is too long to look at may be the key's.
      guard let before = line(number, of: location.file).shown else { return true }
      guard let indent = indentation(before) else { continue }
      if secretValues(in: before).contains(where: \.isOpen) {
        return number == location.line - 1 || least > indent
      }
      least = min(least, indent)
      if least == 0 { return false }
    }
    return false
  }

  private struct SecretValue {
    /// Rather too much than too little.
    var range: Range<Int>
    /// Whether the value may go on in the next line.
    var isOpen = false
  }

  private func secretValues(in line: [Unicode.Scalar]) -> [SecretValue] {
    var values: [SecretValue] = []
    var start = 0
    while let first = line[start...].firstIndex(where: isOfKey) {
      let end = line[first...].firstIndex { !isOfKey($0) } ?? line.endIndex
      start = end
      guard resemblesSecretKey(string(line[first..<end])) else { continue }
      let value = value(after: end, in: line)
      values.append(value)
      start = max(end, value.range.upperBound)
    }
    return values
  }

  private func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  /// A message's form of a key: what follows a word that resembles a secret key may be the secret.
  func quotable(key name: String) -> String {
    let scalars = Array(name.unicodeScalars)
    guard let value = secretValues(in: scalars).first, value.range.lowerBound < scalars.endIndex else {
      return name
    }
    return string(scalars[..<value.range.lowerBound]) + "…"
  }

  private func isOfKey(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_" || scalar == "-"
  }

  /// - Parameter end: of the key. Where no colon follows it, all else may be meant for the value.
  private func value(after end: Int, in line: [Unicode.Scalar]) -> SecretValue {
    let mark = line[end...].firstIndex { $0 != "\"" && $0 != "'" && $0 != " " }
    guard let colon = mark, line[colon] == ":" else { return SecretValue(range: end..<line.endIndex) }
    let value = line[(colon + 1)...].drop { $0 == " " }
    guard let first = value.first, first != "|", first != ">", first != "#" else {
      return SecretValue(range: colon..<colon, isOpen: true)
    }
    guard first == "\"" || first == "'" else { return SecretValue(range: value.startIndex..<line.endIndex) }
    guard let quote = value.dropFirst().firstIndex(of: first) else {
      return SecretValue(range: value.startIndex..<line.endIndex, isOpen: true)
    }
    let next = line[(quote + 1)...].first { $0 != " " }
    let isEnd = next.map { [",", "}", "#"].contains($0) } ?? true
    return SecretValue(range: value.startIndex..<(isEnd ? quote + 1 : line.endIndex))
  }
}
