// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

extension ControlClient {
  /// What comes of an answer in lines.
  enum StreamPart {
    /// The daemon answers; which sequence its lines belong to.
    case began(sequence: String?)
    /// Without its end.
    case line([UInt8])
  }

  private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

  /// Gets an answer that has no end of its own, and hands on what comes. No more is read than `show` takes.
  /// - Parameter show: false: that was enough.
  /// - Returns: whether the answer ended, and not `show` had enough.
  /// - Throws: ``Failure``, or what `show` throws.
  func stream(_ path: String, _ show: (StreamPart) throws -> Bool) async throws -> Bool {
    let connection = try await connect()
    do {
      return try await connection.executeThenClose { inbound, outbound in
        let head = HTTPRequestHead(
          version: .http1_1, method: .GET, uri: path, headers: ["Host": "localhost", "Connection": "close"])
        try await outbound.write(contentsOf: [.head(head), .end(nil)])
        var reading = StreamReading()
        for try await part in inbound {
          guard try reading.take(part, show) else { return false }
        }
        return true
      }
    } catch is IOError {
      throw Failure.closed(socket: socket)
    } catch let error as HTTPParserError {
      throw Failure(error, socket: socket)
    }
  }

  private func connect() async throws -> Connection {
    do {
      return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connectTimeout(.seconds(2))
        .connect(unixDomainSocketPath: socket) { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            return try Connection(wrappingChannelSynchronously: channel)
          }
        }
    } catch ChannelError.connectTimeout(let time) {
      throw Failure.timedOut(socket: socket, seconds: Int(time.nanoseconds / 1_000_000_000))
    } catch {
      throw Failure.unreachable(socket: socket, error)
    }
  }
}

/// Makes lines, or a refusal, of the parts of an answer.
private struct StreamReading {
  private var status = HTTPResponseStatus.ok
  /// What came of a line that has not ended; of a refusal all of it.
  private var rest: [UInt8] = []

  /// - Returns: whether there is more to take.
  mutating func take(
    _ part: HTTPClientResponsePart, _ show: (ControlClient.StreamPart) throws -> Bool
  ) throws -> Bool {
    switch part {
    case .head(let head):
      status = head.status
      return status != .ok ? true : try show(.began(sequence: head.headers.first(name: "Sluice-Started")))
    case .body(let buffer):
      rest += Array(buffer: buffer)
      guard status == .ok, let end = rest.lastIndex(of: 0x0a) else { return true }
      let lines = rest[..<end].split(separator: 0x0a)
      rest.removeSubrange(...end)
      for line in lines {
        guard try show(.line(Array(line))) else { return false }
      }
      return true
    case .end:
      guard status != .ok else { return true }
      let error = (try? ControlJSON.decode(ErrorReply.self, from: rest))?.error
      throw Failure.refused(
        status: Int(status.code), error ?? ErrorReply.Body(code: "http", message: "\(status)"))
    }
  }
}
