// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// One request at a time to the daemon, over its Unix socket.
struct ControlClient {
  let socket: String

  /// The largest answer that is read.
  private static let answerLimit = 64 << 20
  private static let connectTimeout: TimeAmount = .seconds(2)
  private static let answerTimeout: TimeAmount = .seconds(30)

  /// The decoded answer.
  func send<Answer: Decodable>(
    _ method: HTTPMethod, _ path: String, body: (any Encodable)? = nil, as type: Answer.Type
  ) async throws -> Answer {
    try ControlJSON.decode(type, from: try await send(method, path, body: body))
  }

  /// The answer's octets.
  /// - Throws: ``Failure``: the daemon's refusal, or why there is no answer.
  func send(_ method: HTTPMethod, _ path: String, body: (any Encodable)? = nil) async throws -> [UInt8] {
    let answer = try await exchange(method, path, try body.map { try ControlJSON.encode($0) } ?? [])
    let octets = answer.body.map { Array(buffer: $0) } ?? []
    guard (200..<300).contains(answer.head.status.code) else {
      let error = (try? ControlJSON.decode(ErrorReply.self, from: octets))?.error
      throw Failure.refused(error ?? ErrorReply.Body(code: "http", message: "\(answer.head.status)"))
    }
    return octets
  }

  private func exchange(
    _ method: HTTPMethod, _ path: String, _ body: [UInt8]
  ) async throws -> NIOHTTPClientResponseFull {
    let loops = MultiThreadedEventLoopGroup.singleton
    let answer = loops.next().makePromise(of: NIOHTTPClientResponseFull.self)
    let channel: any Channel
    do {
      channel = try await ClientBootstrap(group: loops)
        .connectTimeout(Self.connectTimeout)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            try channel.pipeline.syncOperations.addHandlers([
              NIOHTTPClientResponseAggregator(maxContentLength: Self.answerLimit), AnswerHandler(answer),
            ])
          }
        }
        .connect(unixDomainSocketPath: socket).get()
    } catch {
      answer.fail(error)
      throw Failure.unreachable(socket, error)
    }
    let deadline = channel.eventLoop.scheduleTask(in: Self.answerTimeout) {
      answer.fail(Failure.timedOut(socket))
    }
    defer {
      deadline.cancel()
      channel.close(promise: nil)
    }
    var head = HTTPRequestHead(version: .http1_1, method: method, uri: path)
    head.headers = ["Host": "localhost", "Connection": "close", "Content-Length": "\(body.count)"]
    if !body.isEmpty { head.headers.add(name: "Content-Type", value: "application/json") }
    channel.write(HTTPClientRequestPart.head(head), promise: nil)
    channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
    channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    return try await answer.futureResult.get()
  }
}

/// Why a request has no result.
enum Failure: Error {
  case refused(ErrorReply.Body)
  case unreachable(String, any Error)
  case timedOut(String)
  case closed

  var exitCode: Int32 {
    switch self {
    case .refused(let body): body.code == "configuration-invalid" ? 65 : 1
    case .unreachable(_, let error): (error as? IOError)?.errnoCode == EACCES ? 77 : 69
    case .timedOut: 75
    case .closed: 69
    }
  }

  var message: String {
    switch self {
    case .refused(let body):
      return ((body.diagnostics ?? []) + [body.message]).joined(separator: "\n")
    case .unreachable(let socket, let error):
      switch (error as? IOError)?.errnoCode {
      case EACCES: return "not permitted to use \(socket); join the group that owns it: ls -l \(socket)"
      case ENOENT:
        return "no daemon at \(socket); start sluiced, or name its socket with --socket or SLUICE_SOCKET"
      case ECONNREFUSED:
        return "nobody answers at \(socket): sluiced is not running; forwarding is not affected"
      default: return "cannot connect to \(socket): \(error)"
      }
    case .timedOut(let socket): return "no answer from \(socket) within 30 s"
    case .closed: return "the daemon closed the connection without an answer"
    }
  }
}

private final class AnswerHandler: ChannelInboundHandler {
  typealias InboundIn = NIOHTTPClientResponseFull
  private let answer: EventLoopPromise<NIOHTTPClientResponseFull>

  init(_ answer: EventLoopPromise<NIOHTTPClientResponseFull>) { self.answer = answer }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { answer.succeed(unwrapInboundIn(data)) }
  func errorCaught(context: ChannelHandlerContext, error: any Error) { answer.fail(error) }
  func channelInactive(context: ChannelHandlerContext) { answer.fail(Failure.closed) }
}
