// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Control

/// What is not understood is refused, and nothing is changed.
@Suite struct APIBodyTests {
  static let address = #""address":"10.0.0.9""#

  @Test func textIsJudgedAlikeWhereverItStands() async throws {
    let backend = "/v1/pools/web/backends/b1"
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for bad in ["a%E2%80%AEb", "a%0Ab", "%00", "a%E2%81%A6b", "%1B[31m", "a%C2%85b"] {
        for (method, path) in [
          ("DELETE", backend + "?reason=\(bad)"), ("DELETE", "/v1/pools/web/backends/\(bad)"),
          ("POST", "/v1/pools/\(bad)/backends/b1/drain"), ("GET", "/v1/events?type=\(bad)"),
          ("GET", "/v1/checks?pool=\(bad)"), ("POST", backend + "/check?target=\(bad)"),
        ] {
          let answer = try await ask(fixture.control, method, path)
          #expect(answer.status == 400, "\(method) \(path): \(answer.text)")
          #expect(answer.message.contains("control character"), "\(method) \(path): \(answer.message)")
        }
      }
      #expect(await fixture.plane.changes.isEmpty)
    }
  }

  @Test func bodiesAreReadStrictly() async throws {
    let cases: [(name: String, body: [UInt8], message: String)] = [
      ("none", [], #"field "address" is missing"#),
      ("no object", Array("[1]".utf8), "not a JSON object"),
      ("text", Array("\"x\"".utf8), "not a JSON object"),
      ("null", Array("null".utf8), "not a JSON object"),
      ("cut off", Array("{\(Self.address)".utf8), "not a JSON object"),
      ("more after it", Array("{\(Self.address)} {}".utf8), "not a JSON object"),
      ("not UTF-8", Array("{\"address\":\"".utf8) + [0xff, 0xfe] + Array("\"}".utf8), "not a JSON object"),
      ("UTF-16", Array("{\(Self.address)}".utf16.flatMap { [UInt8($0 & 0xff), 0] }), "not a JSON object"),
      ("raw NUL", Array("{\"address\":\"10.0".utf8) + [0] + Array("\"}".utf8), "not a JSON object"),
      ("escaped NUL", Array(#"{"address":"10.0.0.9\u0000"}"#.utf8), "control character"),
      ("line break", Array(#"{\#(Self.address),"reason":"a\nb"}"#.utf8), "control character"),
      ("turned text", Array(#"{\#(Self.address),"reason":"a\u202eb"}"#.utf8), "control character"),
      ("misspelled", Array(#"{\#(Self.address),"wieght":5}"#.utf8), #"did you mean "weight"?"#),
      ("another case", Array(#"{\#(Self.address),"Weight":5}"#.utf8), "not found"),
      ("said twice", Array(#"{\#(Self.address),"weight":5,"weight":6}"#.utf8), "given twice"),
      ("said twice, hidden", Array(#"{\#(Self.address),"weight":5,"w\u0065ight":6}"#.utf8), "given twice"),
      ("weight as text", Array(#"{\#(Self.address),"weight":"5"}"#.utf8), #""weight" is not a whole number"#),
      ("half a weight", Array(#"{\#(Self.address),"weight":1.5}"#.utf8), "not whole, or too large"),
      ("huge weight", Array(#"{\#(Self.address),"weight":1e40}"#.utf8), "not whole, or too large"),
      ("true weight", Array(#"{\#(Self.address),"weight":true}"#.utf8), #""weight" is not a whole number"#),
      ("address as number", Array(#"{"address":10}"#.utf8), #""address" is not text"#),
      ("nested", Array(#"{"address":{"a":1}}"#.utf8), #""address" is not text"#),
      (
        "long reason", Array(#"{\#(Self.address),"reason":"\#(String(repeating: "a", count: 513))"}"#.utf8),
        "more than 512 bytes"
      ),
      (
        "deep", Array((String(repeating: "[", count: 5000)).utf8), "not a JSON object"
      ),
    ]
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for (name, body, message) in cases {
        let answer = try await ask(fixture.control, "POST", "/v1/pools/web/backends/b9", body)
        #expect(answer.status == 400, "\(name): \(answer.text)")
        #expect(answer.code == "invalid-request", "\(name)")
        #expect(answer.message.contains(message), "\(name): \(answer.message)")
      }
      #expect(await fixture.plane.changes.isEmpty)
      let colon = #"{"address":"a:b{\"c\":[d","weight":5}"#
      #expect(
        try await ask(fixture.control, "POST", "/v1/pools/web/backends/b9", colon).status == 200)
    }
  }

  @Test func queriesAreReadStrictly() async throws {
    let path = "/v1/pools/web/backends/b1"
    let cases = [
      ("dryrun=1", "did you mean \"dry_run\"?"), ("dry_run=yes", "neither 0 nor 1"),
      ("dry_run", "neither 0 nor 1"), ("dry_run=", "neither 0 nor 1"), ("dry_run=true", "neither 0 nor 1"),
      ("dry_run=1&dry_run=0", "given twice"), ("dry_run=1&x=%zz", "percent-encoded"), ("wait=1", "not found"),
      ("force=yes", "neither 0 nor 1"), ("quiet=5", "not found"),
    ]
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for (query, message) in cases {
        let answer = try await ask(fixture.control, "PATCH", path + "?" + query, #"{"weight":5}"#)
        #expect(answer.status == 400, "\(query): \(answer.text)")
        #expect(answer.message.contains(message), "\(query): \(answer.message)")
      }
      #expect(await fixture.plane.changes.isEmpty)
    }
  }

  @Test func requestsWithoutBodyTakeNone() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for (method, path) in [
        ("POST", "/v1/config/reload"), ("POST", "/v1/detach"), ("DELETE", "/v1/pools/web/backends/b1"),
      ] {
        #expect(try await ask(fixture.control, method, path, "{}").status == 400, "\(path)")
      }
      let drain = "/v1/pools/web/backends/b1/drain"
      #expect(try await ask(fixture.control, "POST", drain, #"{"state":"maint"}"#).status == 400)
      #expect(await fixture.plane.changes.isEmpty)
    }
  }

  @Test func reasonsInQueriesAreChecked() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let answer = try await ask(fixture.control, "DELETE", "/v1/pools/web/backends/b1?reason=a%0Ab")
      #expect(answer.status == 400)
      #expect(await fixture.plane.changes.isEmpty)
    }
  }

  @Test func bodiesHaveAnEnd() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let large = [UInt8](repeating: UInt8(ascii: " "), count: 1 << 20)
      let answer = try await ask(fixture.control, "POST", "/v1/config/check", large + [0x20])
      #expect(answer.status == 413)
      #expect(answer.code == "too-large")
      #expect(try await ask(fixture.control, "POST", "/v1/config/check", large).status == 200)
    }
  }

  @Test func bodiesWithObjectsAreShort() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let path = "/v1/pools/web/backends/b1"
      let answer = try await ask(
        fixture.control, "PATCH", path, #"{"\#(String(repeating: "state", count: 200_000))": 1}"#)
      #expect(answer.status == 413)
      let unknown = try await ask(
        fixture.control, "PATCH", path, #"{"\#(String(repeating: "state", count: 3_000))": 1}"#)
      #expect(unknown.status == 400)
      #expect(unknown.message.count < 300, "\(unknown.message)")
      #expect(await fixture.plane.changes.isEmpty)
    }
  }

  @Test func chunkedBodiesHaveAnEndToo() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let connection = try RawConnection(fixture.control)
      await connection.send(
        "POST /v1/config/check HTTP/1.1\r\nHost: l\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      )
      let chunk = Array("10000\r\n".utf8) + [UInt8](repeating: 0x20, count: 0x10000) + Array("\r\n".utf8)
      for _ in 0..<17 { await connection.send(chunk) }
      await connection.send("0\r\n\r\n")
      let octets = await connection.readToEnd() ?? []
      #expect(Answer(octets)?.status == 413)
    }
  }
}
