// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// A Unix socket that answers requests with what a test wants, and remembers them.
final class FakeDaemon: Sendable {
  struct Request: Hashable, Sendable {
    var method: String
    var path: String
    var body: String
  }

  /// An HTTP answer; nil: none, the connection is closed.
  typealias Answer = (status: Int, body: String)

  let socket: String
  private let listener: Int32
  private let received = Mutex<[Request]>([])

  var requests: [Request] { received.withLock(\.self) }

  /// - Parameters:
  ///   - silent: accepts connections and never answers.
  ///   - fields: what an answer's head says besides, each with its line end.
  ///   - cut: good answers are chunked, as the daemon's streams are, and the connection closes before the last chunk.
  init(
    silent: Bool = false, fields: @escaping @Sendable (Request) -> String = { _ in "" }, cut: Bool = false,
    answer: @escaping @Sendable (Request) -> Answer?
  ) throws {
    socket = "/tmp/sl-cli-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
    listener = try listening(at: socket)
    Thread.detachNewThread { [self, listener] in
      while case let connection = accept(listener, nil, nil), connection >= 0 {
        guard !silent else { continue }
        serve(connection, fields, cut, answer)
        close(connection)
      }
      close(listener)
    }
  }

  /// - Parameter unlinking: false: the socket stays behind, as a killed daemon's does.
  func stop(unlinking: Bool = true) {
    // Ends the thread, which closes it: its number may be that of another test's file as soon as it is closed.
    shutdown(listener, Int32(SHUT_RDWR))
    if unlinking { unlink(socket) }
  }

  private func serve(
    _ connection: Int32, _ fields: (Request) -> String, _ cut: Bool, _ answer: (Request) -> Answer?
  ) {
    var octets: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    var request: Request?
    while request == nil {
      let count = read(connection, &buffer, buffer.count)
      guard count > 0 else { return }
      octets += buffer[..<count]
      request = Self.request(octets)
    }
    guard let request else { return }
    received.withLock { $0.append(request) }
    guard let answer = answer(request) else { return }
    let (length, cut) = (answer.body.utf8.count, cut && answer.status == 200)
    let framing = cut ? "transfer-encoding: chunked" : "content-length: \(length)"
    let head = "HTTP/1.1 \(answer.status) X\r\n\(framing)\r\nconnection: close\r\n\(fields(request))\r\n"
    let body = cut ? "\(String(length, radix: 16))\r\n\(answer.body)\r\n" : answer.body
    let reply = Array((head + body).utf8)
    var sent = 0
    while sent < reply.count {
      let count = send(connection, Array(reply[sent...]), reply.count - sent, Int32(MSG_NOSIGNAL))
      guard count > 0 else { return }
      sent += count
    }
  }

  /// The request, once all of it is there.
  private static func request(_ octets: [UInt8]) -> Request? {
    let parts = String(decoding: octets, as: UTF8.self).split(
      separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let line = parts[0].split(separator: "\r\n").first else { return nil }
    let length = parts[0].lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
      .flatMap { Int($0.dropFirst(15).trimmingPrefix(" ")) }
    guard parts[1].utf8.count >= length ?? 0 else { return nil }
    let words = line.split(separator: " ")
    return Request(method: String(words[0]), path: String(words[1]), body: String(parts[1]))
  }
}

private func listening(at path: String) throws -> Int32 {
  let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  let bound = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
  guard bound == 0, listen(descriptor, 16) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
  return descriptor
}
