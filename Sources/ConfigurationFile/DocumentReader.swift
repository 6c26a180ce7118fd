// SPDX-License-Identifier: Apache-2.0

/// Reads one file's text into a tree.
///
/// - Returns: nil where the text is no YAML document, which is reported then.
func readDocument(_ source: SourceText, file: Int, findings: Findings) -> Document? {
  let screened = screen(source, file: file, findings: findings)
  return unsafe screened.octets.withUnsafeBufferPointer { text in
    var builder = DocumentBuilder(
      source: source, file: file, findings: findings, textIsClean: screened.isClean)
    do throws(DocumentError) {
      return try builder.build(unsafe YAMLParser(text))
    } catch {
      switch error {
      case .syntax(let error): reportSyntax(error, in: source, file: file, findings: findings)
      case .tooDeep(let location): findings.report(.error, .tooDeep, at: location, "nested too deep")
      case .tooManyValues(let location):
        findings.report(
          .error, .tooLarge, at: location, "the file has more than \(DocumentBuilder.maximumValues) values")
      }
      return nil
    }
  }
}

/// Why a document cannot be read to its end.
enum DocumentError: Error {
  case syntax(YAMLError)
  case tooDeep(SourceLocation)
  case tooManyValues(SourceLocation)
}

private func reportSyntax(_ error: YAMLError, in source: SourceText, file: Int, findings: Findings) {
  let position = location(of: error.mark, in: source, file: file)
  guard !error.problem.hasPrefix("Maximum nesting level") else {
    findings.report(.error, .tooDeep, at: deepestPlace(in: source, file: file), "nested too deep")
    return
  }
  let line = source.line(position.line)
  if line.indices.contains(position.column - 1), line[position.column - 1] == "\t" {
    findings.report(.error, .tab, at: position, "a tab cannot stand here: YAML is indented with spaces")
    return
  }
  let start = error.context.map { location(of: $0.mark, in: source, file: file) }
  let advice =
    error.problem.hasPrefix("mapping values") ? " (check the indentation, and quotes around \": \")" : ""
  findings.report(
    .error, .syntax, at: position, "not valid YAML: \(error.problem)\(advice)",
    related: start == position ? nil : start.map { ($0, error.context?.text ?? "") })
}

private func location(of mark: Mark, in source: SourceText, file: Int) -> SourceLocation {
  let line = min(max(mark.line, 1), source.lineCount)
  return SourceLocation(file: file, line: line, column: mark.column)
    .clamped(toLine: line, of: source.line(line).count)
}

/// Roughly where the nesting passes the cap, for text that libyaml gave up on.
private func deepestPlace(in source: SourceText, file: Int) -> SourceLocation {
  var depth = 0
  for number in 1...source.lineCount {
    for (offset, scalar) in source.line(number).enumerated() {
      switch scalar {
      case "[", "{", "-", "?": depth += 1
      case "]", "}": depth -= 1
      default: break
      }
      if depth > DocumentBuilder.maximumDepth {
        return SourceLocation(file: file, line: number, column: offset + 1)
      }
    }
  }
  return SourceLocation(file: file, line: 1, column: 1)
}
