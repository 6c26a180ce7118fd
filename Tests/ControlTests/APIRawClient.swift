// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A stream socket on which a test says exactly what it wants, also what no client would.
/// Its calls block, so they run on threads of their own, and not on those that the server needs.
final class RawConnection: @unchecked Sendable {
  private let descriptor: Int32

  init(_ path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else {
      let code = errno
      close(descriptor)
      throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO)
    }
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  /// - Returns: whether the server took all of it.
  @discardableResult
  func send(_ octets: [UInt8]) async -> Bool {
    await onThread { [descriptor] in
      var rest = octets[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes {
          Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count <= 0 { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }
  }

  @discardableResult
  func send(_ text: String) async -> Bool { await send(Array(text.utf8)) }

  /// What comes until a text is in it, or the server closes; nil where neither is within 20 s.
  func read(until text: String) async -> String? {
    await onThread { [descriptor] in
      var octets: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65536)
      while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count > 0 { octets += buffer[..<count] }
        if count < 0 && errno != ECONNRESET { return nil }
        let read = String(decoding: octets, as: UTF8.self)
        if count <= 0 || read.contains(text) { return read }
      }
    }
  }

  /// All that comes until the server closes; nil where it does not within 20 s.
  func readToEnd() async -> [UInt8]? {
    await onThread { [descriptor] in
      var octets: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65536)
      while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count > 0 { octets += buffer[..<count] }
        if count == 0 || (count < 0 && errno == ECONNRESET) { return octets }
        if count < 0 { return nil }
      }
    }
  }

  /// Whether the server closes within 20 s, before anything is read.
  func isClosed() async -> Bool {
    await onThread { [descriptor] in
      // Linux reports POLLHUP whatever is asked for, once both directions are shut.
      var entry = pollfd(fd: descriptor, events: 0, revents: 0)
      return poll(&entry, 1, 20_000) == 1
    }
  }

  private func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: body()) }
    }
  }
}

struct Answer {
  let status: Int
  let headers: [String: String]
  let body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }
  var object: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]) ?? [:] }
  var error: [String: Any] { object["error"] as? [String: Any] ?? [:] }
  var code: String { error["code"] as? String ?? "" }
  var message: String { error["message"] as? String ?? "" }

  init?(_ octets: [UInt8]) {
    guard let end = octets.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
    let lines = String(decoding: octets[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
    guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
      return nil
    }
    self.status = status
    headers = Dictionary(
      lines.dropFirst().compactMap { line in
        line.firstIndex(of: ":").map {
          (line[..<$0].lowercased(), line[line.index(after: $0)...].trimmingCharacters(in: .whitespaces))
        }
      }, uniquingKeysWith: { first, _ in first })
    body = Array(octets[end.upperBound...])
  }
}

struct NoAnswer: Error {}

/// One request on a connection of its own.
func ask(
  _ socket: String, _ method: String, _ path: String, _ body: [UInt8] = [], headers: [String: String] = [:]
) async throws -> Answer {
  let connection = try RawConnection(socket)
  let fields = headers.map { "\($0): \($1)\r\n" }.joined()
  await connection.send(
    Array(
      ("\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        + "Content-Length: \(body.count)\r\n\(fields)\r\n").utf8) + body)
  guard let octets = await connection.readToEnd(), let answer = Answer(octets) else { throw NoAnswer() }
  return answer
}

func ask(
  _ socket: String, _ method: String, _ path: String, _ body: String, headers: [String: String] = [:]
) async throws -> Answer {
  try await ask(socket, method, path, Array(body.utf8), headers: headers)
}
