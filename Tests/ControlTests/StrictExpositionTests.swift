// SPDX-License-Identifier: Apache-2.0
import Testing

/// The reader that the other tests rely on.
@Suite struct StrictExpositionTests {
  private static let head = "# HELP a_total A.\n# TYPE a_total counter\n"
  private static let histogram = "# HELP h H.\n# TYPE h histogram\n"
  private static let refused: [(text: String, why: String)] = [
    ("a_total 1\n", "no type before it"), (head + "b_total 1\n", "not of its family"),
    (head + "a_total 1", "the last line has no end"), (head + "a_total 1\n\n", "no legal name"),
    ("# HELP a_total A.\na_total 1\n", "no type before it"), ("# HELP a_total A.\n", "has no type"),
    ("# TYPE a_total counter\n# HELP a_total A.\n", "does not follow its help"),
    (head + "# TYPE a_total counter\n", "does not follow its help"),
    ("# HELP a_total\n# TYPE a_total counter\n", "no help"),
    ("# HELP a_total A.\n# TYPE a_total summary\n", "unknown type"),
    (head + "a_total 1\n# HELP b B.\n# TYPE b gauge\nb 1\n" + head, "a family in two pieces"),
    (head + "a_total 1\n# HELP b B.\n# TYPE b gauge\na_total{x=\"1\"} 1\n", "not of its family"),
    ("# HELP a A.\n# TYPE a counter\n", "counters end in _total"),
    ("# HELP a_total A.\n# TYPE a_total gauge\n", "counters end in _total"),
    ("# HELP a_count A.\n# TYPE a_count gauge\n", "looks like a part"),
    ("# HELP 1a A.\n# TYPE 1a gauge\n", "no legal name"), (head + "a_total{1x=\"\"} 1\n", "no legal name"),
    (head + "a_total{__x=\"\"} 1\n", "no legal label"), (head + "a_total{x:y=\"\"} 1\n", "no legal label"),
    (head + "a_total{x=\"1\",x=\"2\"} 1\n", "said twice"), (head + "a_total 1\na_total 2\n", "said twice"),
    (head + "a_total{x=\"1\",y=\"2\"} 1\na_total{y=\"2\",x=\"1\"} 1\n", "said twice"),
    (head + "a_total{x=\"1\"} 1\na_total{y=\"1\"} 1\n", "labels differ"),
    (head + "a_total{x=\"\\t\"} 1\n", "unknown escape"), (head + "a_total{x=\"1} 1\n", "without end"),
    (head + "a_total{x=\"a\"b\"} 1\n", "labels without end"),
    (head + "a_total{x=\"a\nb\"} 1\n", "without end"),
    (head + "a_total  1\n", "no number"), (head + "a_total inf\n", "no number"),
    (head + "a_total 1 1700000000\n", "more than one"), (head + "a_total -1\n", "below nothing"),
    (head + "a_total NaN\n", "below nothing"), (head + "a_total{le=\"1\"} 1\n", "only there"),
    (histogram + "h 1\n", "not of its family"), (histogram + "h_bucket 1\n", "only there"),
    (histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n", "all of _count"),
    (histogram + "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n", "not +Inf"),
    (histogram + "h_bucket{le=\"+Inf\"} 1\nh_count 1\n", "no _sum"),
    (histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\n", "all of _count"),
    (histogram + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n", "not cumulative"),
    (histogram + "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n", "not in order"),
  ]

  @Test(arguments: refused.indices) func `what the format forbids is refused`(index: Int) {
    let (text, why) = Self.refused[index]
    let refusal = #expect(throws: StrictExposition.Refusal.self) { try StrictExposition(text) }
    #expect(refusal?.description.contains(why) == true, "\(refusal?.description ?? ""), expected: \(why)")
  }

  @Test func `what the format allows is read`() throws {
    let text =
      Self.head + "a_total{x=\"q\\\" b\\\\ n\\n r\r\",y=\"\"} 1e+3\n" + Self.histogram
      + "h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 2.5\nh_count 2\n"
      + "# HELP g A \\\\ and \\n.\n# TYPE g gauge\ng -Inf\n# HELP e E.\n# TYPE e gauge\n"
    let read = try StrictExposition(text)
    #expect(read.families.map(\.name) == ["a_total", "h", "g", "e"])
    #expect(read["a_total"]?.samples.first?.labels == ["x": "q\" b\\ n\n r\r", "y": ""])
    #expect(read.value("a_total") == 1000)
    #expect(read.value("h_bucket", ["le": "0.5"]) == 1)
    #expect(read["g"]?.help == "A \\ and \n.")
  }
}
