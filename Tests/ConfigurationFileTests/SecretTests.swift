// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Testing

/// Diagnostics are logged, and the status socket shows them: none may contain the seed.
@Suite struct SecretTests {
  private static let key = "hash_seed: \"a secret of the tests\""
  private static let secret = "a secret of the tests"

  @Test(arguments: [
    "hash-seed", "hashseed", "hashSeed", "Hash_Seed", "hash_sed", "has_seed", "hahs_seed", "seed",
    "hash_seeds",
    "hash_seed_value", "\"hash-seed\"", "'seed'",
  ]) func `a seed under a mistyped key is not shown`(key: String) {
    for value in ["\"\(Self.secret)\"", Self.secret] {
      let report = parse(goodText.replacingFirst(Self.key, with: "\(key): \(value)"))
      #expect(report.errors.contains { $0.code == .unknownKey })
      #expect(!report.rendered().contains(Self.secret), "\(report.rendered())")
    }
  }

  @Test(arguments: [
    "{ version: 1, hash_seed_file: /x, hash_seed: \"a secret of the tests\", bogus: 1 }",
    "{ hash-seed: 'a secret of the tests', bogus: 1 }",
    "{ bogus: 1, seed: a secret of the tests }",
    "node: { name: lb1, seed: \"a secret of the tests\" }",
    "{ version: 1, hash_seed=\"a secret of the tests\", bogus: 1 }",
    "hash_seed \"a secret of the tests\": 1",
    "hash_seed; a secret of the tests: 1",
    "- hash_seed a secret of the tests",
    "version: 1\nhash_seed a secret of the tests",
    "version: 1\nhash_seed=a secret of the tests",
    "bogus: 1\nhash_seed: \"abc\n  a secret of the tests\" x",
    "hash-seed: |\n  abc\n  a secret of the tests\n  \u{7}",
    "hash_seed a secret of the tests: 1\nhash_seed a secret of the tests: 1",
  ]) func `a seed beside other mistakes of its line is not shown`(text: String) {
    let report = parse(text)
    #expect(!report.errors.isEmpty)
    #expect(!report.rendered().contains(Self.secret), "\(report.rendered())")
  }

  @Test func `the lines after a seed are shown`() {
    let report = parse("hash_seed: \"a secret of the tests\"\nbogus: 1\n")
    #expect(report.rendered().contains("bogus: 1"))
  }

  @Test func `other values are shown`() {
    let report = parse(goodText.replacingFirst("mode: auto", with: "gateway: auto"))
    #expect(report.rendered().contains("gateway: auto"))
  }
}
