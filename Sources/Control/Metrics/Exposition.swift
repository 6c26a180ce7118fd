// SPDX-License-Identifier: Apache-2.0

/// The Prometheus text exposition format, version 0.0.4.
struct Exposition {
  typealias Labels = [(String, String)]

  private(set) var text = ""

  enum Kind: String { case counter, gauge, histogram }

  /// One family: its help and type, then a line per sample.
  mutating func family(
    _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: Labels, value: Double)]
  ) {
    head(name, kind, help)
    for (labels, value) in samples { sample(name, labels, value) }
  }

  /// A family whose counts are those of one series each.
  mutating func counters(_ name: String, _ help: String, _ samples: [(labels: Labels, count: UInt64)]) {
    family(name, .counter, help, samples.map { ($0.labels, Double($0.count)) })
  }

  mutating func histograms(
    _ name: String, _ help: String, _ series: [(labels: Labels, histogram: Histogram)]
  ) {
    head(name, .histogram, help)
    for (labels, histogram) in series {
      let bounds = Histogram.bounds.map { "\($0)" } + ["+Inf"]
      var total: UInt64 = 0
      for (bound, count) in zip(bounds, histogram.counts) {
        total += count
        sample(name + "_bucket", labels + [("le", bound)], Double(total))
      }
      sample(name + "_sum", labels, histogram.seconds)
      sample(name + "_count", labels, Double(total))
    }
  }

  private mutating func head(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  private mutating func sample(_ name: String, _ labels: Labels, _ value: Double) {
    let list = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
    text += "\(name)\(list.isEmpty ? "" : "{\(list)}") \(Self.number(value))\n"
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
  }

  /// By scalars: a character may be more than what is to be escaped, such as a quote with an accent, or CR LF.
  private static func escaped(_ text: String) -> String {
    var escaped = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped.append(contentsOf: "\\\\".unicodeScalars)
      case "\"": escaped.append(contentsOf: "\\\"".unicodeScalars)
      case "\n": escaped.append(contentsOf: "\\n".unicodeScalars)
      default: escaped.append(scalar)
      }
    }
    return String(escaped)
  }
}
