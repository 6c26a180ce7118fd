// SPDX-License-Identifier: Apache-2.0

/// The text exposition format 0.0.4, read strictly: what the format forbids, and what Prometheus' naming rules forbid,
/// is refused. Knows nothing of the code that writes it.
struct StrictExposition {
  struct Sample {
    var name: String
    var labels: [String: String]
    var value: Double
  }

  struct Family {
    var name: String
    var help: String
    var kind = ""
    var samples: [Sample] = []
  }

  struct Refusal: Error, CustomStringConvertible {
    var description: String
  }

  private(set) var families: [Family] = []
  private var series: Set<[String: String]> = []

  init(_ text: String) throws {
    // By scalars: CR LF is one character, and a line may end within it.
    guard text.unicodeScalars.last == "\n" else { throw Refusal(description: "the last line has no end") }
    for (index, line) in text.unicodeScalars.dropLast().split(
      separator: "\n", omittingEmptySubsequences: false
    ).enumerated() {
      do {
        try read(Scanner(rest: line))
      } catch let refusal as Refusal {
        throw Refusal(description: "line \(index + 1): \(refusal): \(String(line))")
      }
    }
    try checkLast()
  }

  subscript(name: String) -> Family? { families.first { $0.name == name } }

  /// The value of the one sample with this name and these labels, others aside.
  func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
    let found = families.flatMap(\.samples).filter { sample in
      sample.name == name && labels.allSatisfy { sample.labels[$0] == $1 }
    }
    return found.count == 1 ? found[0].value : nil
  }

  // MARK: Lines

  private mutating func read(_ line: Scanner) throws {
    var line = line
    if line.skip("# HELP ") {
      try checkLast()
      let name = try line.metricName()
      guard line.skip(" ") else { throw Refusal(description: "no help") }
      guard !families.contains(where: { $0.name == name }) else {
        throw Refusal(description: "a family in two pieces")
      }
      families.append(Family(name: name, help: try line.help()))
    } else if line.skip("# TYPE ") {
      let name = try line.metricName()
      guard families.last?.name == name, families.last?.kind == "" else {
        throw Refusal(description: "a type that does not follow its help")
      }
      guard line.skip(" "), ["counter", "gauge", "histogram"].contains(String(line.rest)) else {
        throw Refusal(description: "an unknown type")
      }
      families[families.count - 1].kind = String(line.rest)
    } else {
      try readSample(&line)
    }
  }

  private mutating func readSample(_ line: inout Scanner) throws {
    let name = try line.metricName()
    let labels = try line.labels()
    guard line.skip(" ") else { throw Refusal(description: "no space before the value") }
    let value = try line.value()
    guard let family = families.last, family.kind != "" else {
      throw Refusal(description: "no type before it")
    }
    let suffixes = family.kind == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
    guard suffixes.contains(where: { name == family.name + $0 }) else {
      throw Refusal(description: "a sample that is not of its family")
    }
    guard (labels["le"] != nil) == name.hasSuffix("_bucket") else {
      throw Refusal(description: "le is there for buckets and only there")
    }
    guard series.insert(labels.merging(["": name]) { first, _ in first }).inserted else {
      throw Refusal(description: "a series said twice")
    }
    families[families.count - 1].samples.append(Sample(name: name, labels: labels, value: value))
  }

  // MARK: A whole family

  private func checkLast() throws {
    guard let family = families.last else { return }
    guard family.kind != "" else { throw Refusal(description: "\(family.name) has no type") }
    guard (family.kind == "counter") == family.name.hasSuffix("_total") else {
      throw Refusal(description: "\(family.name): counters end in _total, nothing else does")
    }
    guard !["_bucket", "_sum", "_count"].contains(where: family.name.hasSuffix) else {
      throw Refusal(description: "\(family.name) looks like a part of a histogram")
    }
    if family.kind == "counter", family.samples.contains(where: { !($0.value >= 0) }) {
      throw Refusal(description: "\(family.name) counts below nothing")
    }
    let names = Set(family.samples.map { Set($0.labels.keys).subtracting(["le"]) })
    guard names.count <= 1 else { throw Refusal(description: "\(family.name): labels differ") }
    guard family.kind == "histogram" else { return }
    let histograms = Dictionary(grouping: family.samples) { $0.labels.filter { $0.key != "le" } }
    for samples in histograms.values { try checkHistogram(samples, of: family.name) }
  }

  private func checkHistogram(_ samples: [Sample], of name: String) throws {
    let buckets = samples.filter { $0.labels["le"] != nil }
    let bounds = buckets.compactMap { $0.labels["le"].flatMap(Scanner.number) }
    let counts = samples.filter { $0.name == name + "_count" }
    guard bounds.count == buckets.count, zip(bounds, bounds.dropFirst()).allSatisfy(<) else {
      throw Refusal(description: "\(name): buckets are not in order")
    }
    guard zip(buckets, buckets.dropFirst()).allSatisfy({ $0.value <= $1.value }) else {
      throw Refusal(description: "\(name): buckets are not cumulative")
    }
    guard bounds.last == .infinity, counts.count == 1, buckets.last?.value == counts[0].value else {
      throw Refusal(description: "\(name): the last bucket is not +Inf with all of _count")
    }
    guard samples.contains(where: { $0.name == name + "_sum" }) else {
      throw Refusal(description: "\(name): no _sum")
    }
  }
}

/// Takes a line apart.
private struct Scanner {
  var rest: Substring.UnicodeScalarView

  mutating func skip(_ text: String) -> Bool {
    guard rest.starts(with: text.unicodeScalars) else { return false }
    rest = rest.dropFirst(text.unicodeScalars.count)
    return true
  }

  mutating func metricName() throws -> String { try name(also: ":") }

  private mutating func name(also others: String = "") throws -> String {
    let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_" + others
    let name = String(rest.prefix { (letters + "0123456789").unicodeScalars.contains($0) })
    guard let first = name.unicodeScalars.first, letters.unicodeScalars.contains(first) else {
      throw StrictExposition.Refusal(description: "no legal name")
    }
    rest = rest.dropFirst(name.unicodeScalars.count)
    return name
  }

  mutating func help() throws -> String {
    let help = try escaped(quote: false)
    guard !help.isEmpty else { throw StrictExposition.Refusal(description: "no help") }
    return help
  }

  mutating func labels() throws -> [String: String] {
    var labels: [String: String] = [:]
    guard skip("{") else { return labels }
    repeat {
      let name = try name()
      guard !name.hasPrefix("__"), skip("=\"") else {
        throw StrictExposition.Refusal(description: "no legal label")
      }
      guard labels.updateValue(try escaped(quote: true), forKey: name) == nil else {
        throw StrictExposition.Refusal(description: "a label said twice")
      }
      guard skip("\"") else { throw StrictExposition.Refusal(description: "a value without end") }
    } while skip(",")
    guard skip("}") else { throw StrictExposition.Refusal(description: "labels without end") }
    return labels
  }

  /// Up to the quote, or to the line's end where there is none to be.
  private mutating func escaped(quote: Bool) throws -> String {
    var text = String.UnicodeScalarView()
    while let scalar = rest.first, !(quote && scalar == "\"") {
      rest = rest.dropFirst()
      guard scalar == "\\" else {
        text.append(scalar)
        continue
      }
      switch rest.popFirst() {
      case "\\": text.append("\\")
      case "n": text.append("\n")
      case "\"" where quote: text.append("\"")
      default: throw StrictExposition.Refusal(description: "an unknown escape")
      }
    }
    return String(text)
  }

  mutating func value() throws -> Double {
    guard let value = Self.number(String(rest)) else {
      throw StrictExposition.Refusal(description: "no number, or more than one")
    }
    return value
  }

  static func number(_ text: String) -> Double? {
    switch text {
    case "+Inf": return .infinity
    case "-Inf": return -.infinity
    case "NaN": return .nan
    default:
      let isPlain = text.unicodeScalars.allSatisfy { "0123456789+-.eE".unicodeScalars.contains($0) }
      return isPlain ? Double(text) : nil
    }
  }
}
