// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import LoadBalancing
import Synchronization

@testable import Probing

/// Serves each connection to a port of loopback as a test says, on a thread of its own, until it is gone.
final class StreamServer: Sendable {
  let address: IPAddress
  let port: UInt16
  private let listener: Listener
  private let log = Log()

  init(on text: String = "127.0.0.1", _ serve: @escaping @Sendable (Connection) -> Void) {
    listener = Listener(on: text)
    address = listener.address
    port = listener.port
    Thread.detachNewThread { [descriptor = dup(listener.descriptor), log] in
      while case let client = accept(descriptor, nil, nil), client >= 0 {
        Thread.detachNewThread {
          let connection = Connection(client, log: log)
          serve(connection)
          connection.finish()
        }
      }
      close(descriptor)
    }
  }

  /// Answers each request with some parts, a moment apart, so that each comes on its own.
  convenience init(on text: String = "127.0.0.1", parts: [String]) {
    self.init(on: text) { connection in
      connection.hear()
      for (index, part) in parts.enumerated() {
        if index > 0 { usleep(2000) }
        guard connection.say(part) else { return }
      }
    }
  }

  deinit { shutdown(listener.descriptor, CInt(SHUT_RDWR)) }

  /// Heads of the requests, blank line included.
  var heard: [String] { log.heard }

  /// How clients ended their connections, once so many have.
  func ends(_ count: Int) async throws -> [Connection.End] {
    for _ in 0..<1000 where log.ends.count < count { try await Task.sleep(for: .milliseconds(10)) }
    return log.ends
  }

  func probe(_ question: HTTPQuestion = HTTPQuestion(), timeout: Duration = .seconds(20)) -> Probe {
    Probe(kind: .http(question), destination: address, port: port, timeout: timeout)
  }

  final class Log: Sendable {
    private let entries = Mutex((heard: [String](), ends: [Connection.End]()))

    var heard: [String] { entries.withLock { $0.heard } }
    var ends: [Connection.End] { entries.withLock { $0.ends } }

    func add(heard request: String) { entries.withLock { $0.heard.append(request) } }
    func add(end: Connection.End) { entries.withLock { $0.ends.append(end) } }
  }
}

/// The server's end of a connection.
final class Connection {
  enum End: Hashable {
    case orderly
    case reset
  }

  private let descriptor: CInt
  private let log: StreamServer.Log
  private var buffer = [UInt8](repeating: 0, count: 65536)
  private var clientsEnd: End?

  init(_ descriptor: CInt, log: StreamServer.Log) {
    self.descriptor = descriptor
    self.log = log
  }

  deinit { close(descriptor) }

  /// Reads the head of a request.
  func hear() {
    var request: [UInt8] = []
    while !request.endsHead, case let part = receive(), !part.isEmpty { request += part }
    log.add(heard: String(decoding: request, as: UTF8.self))
  }

  /// What has come, once something has; nothing: the client ended the connection.
  @discardableResult
  func receive() -> ArraySlice<UInt8> {
    let count = recv(descriptor, &buffer, buffer.count, 0)
    if count <= 0, clientsEnd == nil { clientsEnd = count == 0 ? .orderly : .reset }
    return buffer.prefix(max(count, 0))
  }

  /// - Returns: whether the client still listens.
  @discardableResult
  func say(_ text: String) -> Bool { say(Array(text.utf8)) }

  @discardableResult
  func say(_ octets: [UInt8]) -> Bool {
    var rest = octets[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  func awaitClientsEnd() {
    while clientsEnd == nil { receive() }
  }

  /// Ends in order, unless it is over, and notes how the client does.
  func finish() {
    shutdown(descriptor, CInt(SHUT_WR))
    awaitClientsEnd()
    if let clientsEnd { log.add(end: clientsEnd) }
  }

  /// Ends by a reset, whatever the client has not read yet.
  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    // Closes the connection, and keeps the descriptor.
    let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
    dup2(nothing, descriptor)
    close(nothing)
  }
}

extension [UInt8] {
  fileprivate var endsHead: Bool { suffix(4).elementsEqual("\r\n\r\n".utf8) }
}
