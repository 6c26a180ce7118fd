// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Yams

/// Reads one file's text into a tree.
///
/// - Returns: nil where the text is no YAML document, which is reported then.
func readDocument(_ source: SourceText, file: Int, findings: Findings) -> DocumentNode? {
  let screened = screen(source, file: file, findings: findings)
  var text = screened.text
  var keys: [MaskedKey: String] = [:]
  while true {
    do {
      // The tree's anchors live as long as the parser.
      let parser = try Parser(yaml: text.text, resolver: .basic, encoding: .utf8)
      let root = try parser.singleRoot()
      return withExtendedLifetime(parser) {
        var builder = TreeBuilder(
          source: source, file: file, findings: findings, maskedKeys: keys, textIsClean: screened.isClean)
        return root.map { builder.build($0) }
          ?? DocumentNode(.mapping([]), at: source.place(file: file, line: 1, column: 1))
      }
    } catch YamlError.duplicatedKeysInMapping(let names, let context) {
      // Yams stops at the first mapping with equal keys, and names one place. With that key masked, the document
      // can be read on, and the tree shows the other place.
      let place = MaskedKey(line: context.mark.line, column: context.mark.column)
      let name = names.first ?? ""
      guard text.mask(name, at: place, number: keys.count) else {
        keys[place] = unmasked(name)
        reportDuplicates(keys, in: source, file: file, findings: findings)
        return nil
      }
      keys[place] = unmasked(name)
    } catch {
      reportSyntax(error, in: source, file: file, findings: findings)
      return nil
    }
  }
}

/// For a document that cannot be read on: one place of each.
private func reportDuplicates(
  _ keys: [MaskedKey: String], in source: SourceText, file: Int, findings: Findings
) {
  for (place, key) in keys {
    let end = source.end(ofScalar: key, line: place.line, column: place.column)
    findings.report(
      .error, .duplicateKey,
      at: source.place(file: file, line: place.line, column: place.column, endColumn: end),
      "key \"\(key)\" is given twice in one mapping")
  }
}

/// Where a key stood that was replaced for the parser's eyes.
struct MaskedKey: Hashable {
  let line: Int
  let column: Int
}

/// A scalar's text with the stand-ins for `*` taken back.
func unmasked(_ text: String) -> String {
  guard text.unicodeScalars.contains(StandIn.alias) else { return text }
  var view = String.UnicodeScalarView()
  for scalar in text.unicodeScalars { view.append(scalar == StandIn.alias ? "*" : scalar) }
  return String(view)
}

extension SourceText {
  /// Makes one of several equal keys different from all others. False where its text is not found at its mark (an
  /// anchor or an escape is in the way), or where there were too many already.
  fileprivate mutating func mask(_ key: String, at place: MaskedKey, number: Int) -> Bool {
    guard number < StandIn.keys.count, !key.isEmpty else { return false }
    let quoted = scalar(line: place.line, column: place.column).map { $0 == "\"" || $0 == "'" } ?? false
    let start = place.column + (quoted ? 1 : 0)
    guard rest(line: place.line, column: start).starts(with: key.unicodeScalars) else { return false }
    replace(
      line: place.line, columns: start..<(start + key.unicodeScalars.count), with: StandIn.keys[number])
    return true
  }
}

private func reportSyntax(_ error: any Error, in source: SourceText, file: Int, findings: Findings) {
  switch error {
  case YamlError.scanner(let context, let problem, let mark, _),
    YamlError.parser(let context, let problem, let mark, _),
    YamlError.composer(let context, let problem, let mark, _):
    let place = source.place(file: file, line: mark.line, column: mark.column)
    guard !problem.hasPrefix("Maximum nesting level") else {
      findings.report(.error, .tooDeep, at: deepestPlace(in: source, file: file), "nested too deep")
      return
    }
    if source.scalar(line: place.line, column: place.column) == "\t" {
      findings.report(.error, .tab, at: place, "a tab cannot stand here: YAML is indented with spaces")
      return
    }
    let start = context.map { source.place(file: file, line: $0.mark.line, column: $0.mark.column) }
    let advice = problem.hasPrefix("mapping values") ? " (is the indentation right, or do quotes miss?)" : ""
    findings.report(
      .error, .syntax, at: place, "not valid YAML: \(problem)\(advice)",
      related: start == place ? nil : start.map { ($0, context?.text ?? "") })
  default:
    findings.report(
      .error, .syntax, at: source.place(file: file, line: 1, column: 1), "not valid YAML: \(error)")
  }
}

/// Roughly where the nesting passes the cap, for text that libyaml gave up on.
private func deepestPlace(in source: SourceText, file: Int) -> Place {
  var depth = 0
  for (index, line) in source.lines.enumerated() {
    for (offset, scalar) in line.enumerated() {
      switch scalar {
      case "[", "{", "-", "?": depth += 1
      case "]", "}": depth -= 1
      default: break
      }
      if depth > TreeBuilder.maximumDepth {
        return source.place(file: file, line: index + 1, column: offset + 1)
      }
    }
  }
  return source.place(file: file, line: 1, column: 1)
}
