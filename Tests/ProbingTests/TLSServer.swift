// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

@testable import Probing

/// Answers every request over TLS, and remembers how its clients greeted it.
final class TLSServer: Sendable {
  let address: IPAddress
  let port: UInt16
  private let channel: any Channel
  private let greetings: Greetings

  /// - Parameter configure: what its TLS is to be like beyond its identity.
  init(
    _ identity: TestAuthority.Identity, on text: String = "127.0.0.1",
    answering answer: String = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well",
    configure: (inout TLSConfiguration) -> Void = { _ in }
  ) async throws {
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: identity.chain.map { .certificate($0) }, privateKey: .privateKey(identity.key))
    configure(&configuration)
    let context = try NIOSSLContext(configuration: configuration)
    let greetings = Greetings()
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers(
            Listening(greetings), NIOSSLServerHandler(context: context), Answering(answer))
        }
      }.bind(host: text, port: 0).get()
    address = IPAddress(text)!
    port = UInt16(channel.localAddress!.port!)
    self.greetings = greetings
  }

  deinit { channel.close(promise: nil) }

  var hellos: [ClientHello?] { greetings.all.withLock { $0 } }

  func probe(_ question: HTTPQuestion, timeout: Duration = .seconds(20)) -> Probe {
    Probe(kind: .http(question), destination: address, port: port, timeout: timeout)
  }

  private final class Greetings: Sendable {
    let all = Mutex<[ClientHello?]>([])
  }

  /// Between the socket and TLS.
  private final class Listening: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let greetings: Greetings
    private var hasHeard = false

    init(_ greetings: Greetings) { self.greetings = greetings }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      if !hasHeard {
        // A client sends its first record whole.
        let hello = ClientHello(record: unwrapInboundIn(data))
        greetings.all.withLock { $0.append(hello) }
        hasHeard = true
      }
      context.fireChannelRead(data)
    }
  }

  private final class Answering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answer: String

    init(_ answer: String) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
  }
}

/// What a client says first (RFC 8446, section 4.1.2).
struct ClientHello {
  /// nil: none is given.
  private(set) var serverName: String?
  private(set) var versions: [UInt16] = []
  /// Whether it offers to go on with an earlier session.
  private(set) var resumes: Bool

  /// nil: the record is no hello.
  init?(record: ByteBuffer) {
    var hello = record
    // Header of the record, type and length of the message, version, random value.
    guard let head = hello.readBytes(length: 43), head[0] == 22, head[5] == 1,
      let session = hello.readLengthPrefixedSlice(as: UInt8.self),
      hello.readLengthPrefixedSlice(as: UInt16.self) != nil,
      hello.readLengthPrefixedSlice(as: UInt8.self) != nil,
      var extensions = hello.readLengthPrefixedSlice(as: UInt16.self)
    else { return nil }
    _ = session
    resumes = false
    while let type: UInt16 = extensions.readInteger(),
      var content = extensions.readLengthPrefixedSlice(as: UInt16.self)
    {
      switch type {
      case 0:
        content.moveReaderIndex(forwardBy: 5)
        serverName = String(buffer: content)
      // A ticket; a pre-shared key.
      case 35: resumes = resumes || content.readableBytes > 0
      case 41: resumes = true
      case 43:
        content.moveReaderIndex(forwardBy: 1)
        while let version: UInt16 = content.readInteger() { versions.append(version) }
      default: break
      }
    }
  }
}
