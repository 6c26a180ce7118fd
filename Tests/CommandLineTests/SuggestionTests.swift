// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import sluice

@Suite struct SuggestionTests {
  @Test(arguments: [
    (["backend", "drian"], "drain"), (["bakend", "list"], "backend"), (["config", "chekc", "x"], "check"),
    (["stauts"], "status"), (["pool", "lst"], "list"), (["backend", "undrian", "web/a"], "undrain"),
  ])
  func `the nearest subcommand is suggested`(arguments: [String], guess: String) {
    let complaint = Suggestion.complaint(about: arguments, to: Sluice.self)
    #expect(complaint?.contains("; did you mean \"\(guess)\"?") == true)
  }

  @Test func `without a near one, all are named`() {
    #expect(
      Suggestion.complaint(about: ["pool", "explode"], to: Sluice.self)
        == "sluice pool has no subcommand \"explode\" (there are: list)")
  }

  @Test(arguments: [
    [], ["status"], ["backend"], ["backend", "drain", "web/drian"], ["backend", "--help"],
    ["backend", "set", "web/a", "--weight", "5"], ["help", "backend"], ["--version"], ["api", "GET", "/x"],
  ])
  func `what exists is left to the parser`(arguments: [String]) {
    #expect(Suggestion.complaint(about: arguments, to: Sluice.self) == nil)
  }
}
