// SPDX-License-Identifier: Apache-2.0
import Foundation

/// All that was measured, and under which conditions.
struct Report: Codable {
  var conditions: [String: String]
  var warnings: [String]
  var packets: [PacketBench.Figure]
  var tables: [TableBench.Figure]
  var writing: TableBench.Writing?

  func printTables() {
    for (key, value) in conditions.sorted(by: { $0.key < $1.key }) { print("\(key): \(value)") }
    for warning in warnings { print("WARNING: \(warning)") }
    printPackets()
    if !tables.isEmpty { printForwardingTables() }
  }

  private func printPackets() {
    print(
      "\n" + pad("", 45) + "medians, ns" + pad("", 26) + "least, ns          x stripped, by\n"
        + pad("family", 8) + pad("traffic", 13) + pad("target", 24)
        + "   bounce   target  over it  in bounces   bounce  over it  median  least  required")
    for row in packets {
      print(
        pad(row.family, 8) + pad(row.traffic, 13) + pad(row.target, 24)
          + String(
            format: "%9.0f %8.0f %8.0f %11.2f %8.0f %8.0f", row.bounceNanoseconds, row.nanoseconds,
            row.difference, row.ratio, row.leastBounceNanoseconds, row.leastDifference)
          + ratios(row))
    }
  }

  private func ratios(_ row: PacketBench.Figure) -> String {
    guard let ratio = row.strippedRatio, let least = row.leastStrippedRatio else { return "" }
    let text = String(format: " %7.2f %6.2f", ratio, least)
    guard let required = row.required else { return text }
    return text + String(format: "  <= %.2f %@", required, ratio <= required ? "met" : "MISSED")
  }

  private func printForwardingTables() {
    print("\nbackends  weights   slots   build ms   worst error, slots")
    for row in tables {
      print(
        pad("\(row.backends)", 10) + pad(row.weights, 10) + pad("\(row.slots)", 8)
          + String(format: "%8.2f %12.2f", row.milliseconds, row.worstError))
    }
    if let writing {
      print(
        "\nwriting \(writing.slots) slots through the mapping: "
          + String(format: "%.0f µs", writing.microseconds))
    }
  }
}

func printJSON(_ report: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  print(String(decoding: try encoder.encode(report), as: UTF8.self))
}

func pad(_ text: String, _ width: Int) -> String {
  text.padding(toLength: width, withPad: " ", startingAt: 0)
}
