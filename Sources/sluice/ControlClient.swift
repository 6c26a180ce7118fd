// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// One request at a time to the daemon, over its Unix socket; a connection each.
struct ControlClient {
  let socket: String
  /// From the connection to the end of the answer.
  var answerTimeout: TimeAmount = .seconds(30)

  private static let connectTimeout: TimeAmount = .seconds(2)
  /// The largest answer that is read.
  private static let answerLimit = 64 << 20

  /// The answer's octets.
  /// - Throws: ``Failure``: the daemon's refusal, or why there is no answer.
  func send(_ method: HTTPMethod, _ path: String, body: (any Encodable)? = nil) async throws -> [UInt8] {
    let answer = try await exchange(method, path, try body.map { try ControlJSON.encode($0) } ?? [])
    let octets = answer.body.map { Array(buffer: $0) } ?? []
    guard (200..<300).contains(answer.head.status.code) else {
      let error = (try? ControlJSON.decode(ErrorReply.self, from: octets))?.error
      throw Failure.refused(
        status: Int(answer.head.status.code),
        error ?? ErrorReply.Body(code: "http", message: "\(method) \(path): \(answer.head.status)"))
    }
    return octets
  }

  private func exchange(
    _ method: HTTPMethod, _ path: String, _ body: [UInt8]
  ) async throws -> NIOHTTPClientResponseFull {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let answer = loop.makePromise(of: NIOHTTPClientResponseFull.self)
    let channel: any Channel
    do {
      channel = try await ClientBootstrap(group: loop)
        .connectTimeout(Self.connectTimeout)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            try channel.pipeline.syncOperations.addHandlers([
              NIOHTTPClientResponseAggregator(maxContentLength: Self.answerLimit),
              AnswerHandler(answer, socket: socket),
            ])
          }
        }
        .connect(unixDomainSocketPath: socket).get()
    } catch ChannelError.connectTimeout(let time) {
      answer.fail(ChannelError.connectTimeout(time))
      throw Failure.timedOut(socket: socket, seconds: Int(time.nanoseconds / 1_000_000_000))
    } catch {
      answer.fail(error)
      throw Failure.unreachable(socket: socket, error)
    }
    let deadline = loop.scheduleTask(in: answerTimeout) {
      answer.fail(
        Failure.timedOut(socket: socket, seconds: Int(answerTimeout.nanoseconds / 1_000_000_000)))
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

/// Keeps the promise of an answer; the first thing that happens counts.
private final class AnswerHandler: ChannelInboundHandler {
  typealias InboundIn = NIOHTTPClientResponseFull
  private let answer: EventLoopPromise<NIOHTTPClientResponseFull>
  private let socket: String

  init(_ answer: EventLoopPromise<NIOHTTPClientResponseFull>, socket: String) {
    self.answer = answer
    self.socket = socket
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { answer.succeed(unwrapInboundIn(data)) }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    answer.fail(error is IOError ? Failure.closed(socket: socket) : Failure(error, socket: socket))
  }

  func channelInactive(context: ChannelHandlerContext) { answer.fail(Failure.closed(socket: socket)) }
}

extension Failure {
  /// - Parameter error: of the HTTP parser.
  init(_ error: any Error, socket: String) {
    // The connection ended before the answer did: the daemon ended, or closed it.
    if case HTTPParserError.invalidEOFState = error {
      self = .closed(socket: socket)
    } else {
      self = .unintelligible(socket: socket, error)
    }
  }
}
