// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing
import Testing

@testable import Control

/// What metrics tell, as text.
@Suite struct MetricsTests {
  @Test func `a state with every kind of metric is told as the format wants it`() throws {
    let text = try MetricsSamples.full().text
    let read = try StrictExposition(text)
    let samples = read.families.map(\.samples.count).reduce(0, +)
    print("\(read.families.count) families, \(samples) samples, \(text.utf8.count) octets")
    #expect(read.families.filter(\.samples.isEmpty).map(\.name) == [], "a family that the sample lacks")
    #expect(Set(read.families.map(\.kind)) == ["counter", "gauge", "histogram"])
    for family in read.families {
      #expect(family.name.hasPrefix("sluice_") || family.name.hasPrefix("process_"), "\(family.name)")
    }
  }

  @Test func `names come back as they went in`() throws {
    let read = try StrictExposition(MetricsSamples.full().text)
    for (family, label) in [
      ("sluice_pool_backends", "pool"), ("sluice_service_packets_total", "service"),
      ("sluice_service_info", "pool"), ("sluice_backend_packets_total", "pool"),
      ("sluice_backend_health", "pool"), ("sluice_check_probes_total", "pool"),
      ("sluice_check_duration_seconds", "pool"), ("sluice_pool_moved_slots_total", "pool"),
    ] {
      let told = Set(read[family]?.samples.compactMap { $0.labels[label].map { Array($0.utf8) } } ?? [])
      #expect(told == Set(MetricsSamples.names.map { Array($0.utf8) }), "\(family)")
    }
    #expect(read.value("sluice_alarms", ["code": "x"]) == nil, "a name became a sample")
  }

  @Test func `the same families are told of a daemon that has done nothing`() throws {
    let empty = try StrictExposition(MetricsSamples.empty.text)
    let full = try StrictExposition(MetricsSamples.full().text)
    #expect(empty.families.map(\.name) == full.families.map(\.name))
    #expect(empty.families.map(\.kind) == full.families.map(\.kind))
    #expect(empty.value("sluice_config_reloads_total", ["result": "applied"]) == 0, "a rate needs its zero")
    #expect(empty.value("sluice_config_last_reload_success_timestamp_seconds") == 1_795_000_000.5)
  }

  @Test func `alarms that are shown as one are counted one by one`() throws {
    var metrics = MetricsSamples.empty
    let many = (1...300).map { Alarm(.noNextHop, "web/b\($0)", "", cure: "") }
    let few = ["web", "voice"].map { Alarm(.poolEmpty, $0, "", cure: "") }
    metrics.daemon.alarms = Alarm.grouped(many + few)
    #expect(metrics.daemon.alarms.count == 3)
    let read = try StrictExposition(metrics.text)
    #expect(read.value("sluice_alarms", ["code": "no-next-hop"]) == 300)
    #expect(read.value("sluice_alarms", ["code": "pool-empty"]) == 2)
  }

  @Test func `values are those of the state`() throws {
    let read = try StrictExposition(MetricsSamples.full().text)
    let pool = ["pool": "we\"b"]
    for (state, count) in [("down", 1.0), ("drain", 1), ("up", 0), ("leaving", 0)] {
      #expect(read.value("sluice_pool_backends", pool.merging(["state": state]) { $1 }) == count, "\(state)")
    }
    #expect(read.value("sluice_pool_moved_slots_total", pool) == 251)
    #expect(read.value("sluice_config_reloads_total", ["result": "refused"]) == 1)
    #expect(read.value("sluice_service_bytes_total", ["service": "we\"b"]) == 4_503_599_627_370_496)
    for (kind, count) in [("drain", 1.0), ("weight", 1), ("removed", 1), ("added", 0)] {
      #expect(read.value("sluice_overrides_active", ["kind": kind]) == count, "\(kind)")
    }
    #expect(read.value("sluice_probe_packets_total", ["verdict": "too_big"]) == 1)
    #expect(read.value("sluice_events_total", ["type": "health"]) == 3)
    #expect(read.value("sluice_backend_state_changes_total", pool.merging(["backend": "b1"]) { $1 }) == 1)
  }

  @Test func `a duration is in every bucket whose bound is not below it`() throws {
    let read = try StrictExposition(MetricsSamples.full().text)
    // Two backends, six probes each: 0, 1, 2, 40, 4999 and 60 000 ms.
    for (bound, count) in [("0.001", 4.0), ("0.0025", 6), ("0.05", 8), ("2.5", 8), ("5.0", 10), ("+Inf", 12)]
    {
      let labels = ["pool": "we\"b", "type": "tcp", "le": bound]
      #expect(read.value("sluice_check_duration_seconds_bucket", labels) == count, "\(bound)")
    }
    let sum = try #require(read.value("sluice_check_duration_seconds_sum", ["pool": "we\"b"]))
    #expect(abs(sum - 2 * 65.042) < 1e-9)
  }
}

/// docs/metrics.md against what is told.
@Suite struct MetricsDocumentTests {
  private let lines: [Substring]
  private let told: StrictExposition

  init() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    lines = try String(contentsOf: root.appending(path: "docs/metrics.md"), encoding: .utf8).split(
      separator: "\n")
    told = try StrictExposition(MetricsSamples.full().text)
  }

  @Test func `every family stands in the document, and no other, with its type and labels`() {
    let rows = lines.filter { $0.hasPrefix("| `") }.map { line in
      line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    #expect(
      rows.map { $0[0] }.sorted() == told.families.map { "`\($0.name)`" }.sorted(), "names differ")
    for row in rows {
      guard let family = told[String(row[0].dropFirst().dropLast())] else { continue }
      #expect(row[1] == family.kind, "\(family.name)")
      let labels = Set(family.samples.flatMap(\.labels.keys)).subtracting(["le"])
      #expect(
        row[2].split(separator: " ").sorted() == labels.map { "`\($0)`" }.sorted().map { $0[...] },
        "\(family.name)")
    }
  }

  @Test func `alerts and queries name what there is`() throws {
    var named: Set<String> = []
    for line in lines where !line.hasPrefix("|") {
      for match in line.matches(of: /\b(?:sluice|process)_[a-z_]+/) { named.insert(String(match.output)) }
    }
    let samples = Set(told.families.flatMap(\.samples).map(\.name)).union(told.families.map(\.name))
    #expect(named.subtracting(samples) == [])
    #expect(lines.count { $0.contains("- alert:") } == 5)
  }
}
