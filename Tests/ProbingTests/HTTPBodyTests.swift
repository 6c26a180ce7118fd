// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import Testing

@testable import Probing

/// What a body must hold, however it is framed and cut.
@Suite struct HTTPBodyTests {
  /// What the server's parts are, and why the probe fails; nil: it passes.
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var parts: [String]
    var reason: String?

    init(_ name: String, _ parts: String..., fails reason: String? = nil) {
      self.name = name
      self.parts = parts
      self.reason = reason
    }

    var testDescription: String { name }
  }

  @Test(arguments: [
    Case("with a length", ok("Content-Length: 16") + "yes, all is well"),
    Case("without a length", ok() + "yes, all is well"),
    Case("of HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nall is well"),
    Case("cut within the text", ok() + filling(100) + "all ", "is", " well"),
    Case("cut after the head", ok(), "all is well"),
    Case("after a false beginning", ok() + "all is all is well"),
    Case("as its whole", ok("Content-Length: 11") + "all is well"),
    Case(
      "that ends with it, and more after its end", ok("Content-Length: 3") + "no, all is well",
      fails: "the body of 3 octets does not hold \"all is well\""),
    Case(
      "after an interim response with a length",
      "HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\n" + ok() + "all is well"),
    Case("empty", ok("Content-Length: 0"), fails: "the body of 0 octets does not hold \"all is well\""),
    Case(
      "not there, as the status says", "HTTP/1.1 204 No\r\n\r\nall is well",
      fails: "the body of 0 octets does not hold \"all is well\""),
    Case(
      "in other case", ok("Content-Length: 11") + "All is well",
      fails: "the body of 11 octets does not hold \"all is well\""),
    Case(
      "that never said so", ok() + "all is",
      fails: "the connection was closed after 6 octets of the body, which do not hold \"all is well\""),
    Case(
      "shorter than its length", ok("Content-Length: 100") + "all is",
      fails: "the connection was closed after 6 octets of the body, which do not hold \"all is well\""),
    Case("shorter than its length, with the text in it", ok("Content-Length: 100") + "all is well"),
    Case("with twice the same length", ok("Content-Length: 11\r\nContent-Length: 11") + "all is well"),
    Case("compressed, as it says, which nobody undoes", ok("Content-Encoding: gzip") + "all is well"),
    Case("at the end of the first 64 KiB", ok() + filling(65536 - 11) + "all is well"),
    Case(
      "an octet beyond", ok() + filling(65536 - 10) + "all is well",
      fails: "the first 64 KiB of the body do not hold \"all is well\""),
    Case(
      "far beyond", ok("Content-Length: 999999999999999999") + filling(100_000) + "all is well",
      fails: "the first 64 KiB of the body do not hold \"all is well\""),
  ])
  func `a body`(_ body: Case) async throws { try await expect(body) }

  @Test(arguments: [
    Case("one chunk", chunked + "b\r\nall is well\r\n0\r\n\r\n"),
    Case("the text over two", chunked + "4\r\nall \r\n7\r\nis well\r\n0\r\n\r\n"),
    Case("the text over eleven", chunked + "all is well".map { "1\r\n\($0)\r\n" }.joined()),
    Case("cut everywhere", chunked + "4", "\r", "\nal", "l \r", "\n7\r\n", "is well"),
    Case("extensions", chunked + "4;a=b\r\nall \r\n7 ; c=\"d\"\r\nis well\r\n0;e\r\n\r\n"),
    Case("a tab before the extension", chunked + "b\t;a\r\nall is well\r\n0\r\n\r\n"),
    Case("upper case and leading zeros", chunked + "000B\r\nall is well\r\n"),
    Case(
      "a length beside, which counts for nothing",
      ok("Content-Length: 1\r\nTransfer-Encoding: Chunked") + "b\r\nall is well\r\n"),
    Case(
      "a coding under the chunks", ok("Transfer-Encoding: gzip, chunked") + "b\r\nall is well\r\n0\r\n\r\n"),
    Case(
      "two fields",
      ok("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked") + "b\r\nall is well\r\n0\r\n\r\n"),
    Case(
      "not the last coding: all until the end, whatever the length",
      ok("Content-Length: 3\r\nTransfer-Encoding: chunked, gzip") + "all is well"),
    Case(
      "a trailer, which is not searched", chunked + "3\r\nno!\r\n0\r\nX: all is well\r\n\r\n",
      fails: "the body of 3 octets does not hold \"all is well\""),
    Case("none", chunked + "0\r\n\r\n", fails: "the body of 0 octets does not hold \"all is well\""),
    Case(
      "sizes are not content", chunked + "c\r\nall\r\n is wel\r\n0\r\n\r\n",
      fails: "the body of 12 octets does not hold \"all is well\""),
    Case("no size", chunked + "\r\n", fails: "the body's chunks are malformed: \"\""),
    Case("a negative size", chunked + "-1\r\n", fails: "the body's chunks are malformed: \"-1\""),
    Case("no hexadecimal size", chunked + "0x5\r\n", fails: "the body's chunks are malformed: \"0x5\""),
    Case(
      "a size beyond all", chunked + "ffffffffffffffff\r\n",
      fails: "the body's chunks are malformed: \"ffffffffffffffff\""),
    Case(
      "a size that is too small", chunked + "3\r\nall is\r\n",
      fails: "the body's chunks are malformed: \" is\""),
    Case(
      "an extension without end", chunked + "5;" + filling(300),
      fails: "the body's chunks are malformed: \"5;\(filling(38))…\""),
    Case(
      "an end in the middle", chunked + "f\r\nall is",
      fails: "the connection was closed after 6 octets of the body, which do not hold \"all is well\""),
    Case(
      "huge", chunked + "fffffffffffffff\r\n" + filling(70_000),
      fails: "the first 64 KiB of the body do not hold \"all is well\""),
    Case(
      "an octet each, without end", chunked + String(repeating: "1\r\nx\r\n", count: 60_000),
      fails: "no verdict within 256 KiB"),
  ])
  func `a body in chunks`(_ body: Case) async throws { try await expect(body) }

  @Test func `without a text to find a body is not waited for, and may be cut short`() async throws {
    let prober = try prober()
    let open = StreamServer { connection in
      connection.hear()
      connection.say(ok("Content-Length: 11") + "all")
      connection.awaitClientsEnd()
    }
    #expect(await prober.run(open.probe()).failure == nil)
    let cut = StreamServer(parts: [ok("Content-Length: 11") + "all"])
    #expect(await prober.run(cut.probe(HTTPQuestion(body: ""))).failure == nil)
  }

  @Test func `a reset in the middle of the body`() async throws {
    let server = StreamServer { connection in
      connection.hear()
      connection.say(ok("Content-Length: 11") + "all is")
      // Else the reset overtakes what was sent.
      usleep(100_000)
      connection.reset()
    }
    let failure = try await prober().run(server.probe(HTTPQuestion(body: "all is well"))).failure
    #expect(
      failure
        == .init(
          .body, "the connection was reset after 6 octets of the body, which do not hold \"all is well\""))
  }

  private func expect(_ body: Case) async throws {
    let server = StreamServer(parts: body.parts)
    let outcome = try await prober().run(server.probe(HTTPQuestion(body: "all is well")))
    #expect(outcome.failure == body.reason.map { .init(.body, $0) })
  }
}

private let chunked = ok("Transfer-Encoding: chunked")

private func ok(_ fields: String? = nil) -> String {
  "HTTP/1.1 200 OK\r\n\(fields.map { $0 + "\r\n" } ?? "")\r\n"
}

private func filling(_ octets: Int) -> String { String(repeating: "x", count: octets) }
