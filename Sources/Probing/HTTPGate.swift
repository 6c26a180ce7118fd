// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import NIOCore

/// The near end of a probe's pipeline, at the socket: counts what comes in, whatever layer would swallow it, and closes
/// without the farewell of TLS, for which a server could keep the probe waiting.
final class HTTPGate: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  /// Head and body have narrower bounds of their own; a handshake, TLS records and chunks take some in addition.
  static let octetLimit = 256 * 1024

  /// Both go with the channel, which is closed before the probe is done.
  private unowned let probe: HTTPProbeHandler
  private let expectsTLS: Bool
  private var octets = 0
  private var context: ChannelHandlerContext?

  init(for probe: HTTPProbeHandler, expectsTLS: Bool) {
    self.probe = probe
    self.expectsTLS = expectsTLS
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func close() { context?.close(promise: nil) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let received = unwrapInboundIn(data).readableBytesView
    // Content types of TLS records: RFC 8446, section 5.1.
    if expectsTLS, octets == 0, let first = received.first, !(20...24 ~= first) {
      probe.conclude(.init(.tls, "not TLS: the server says \(HTTPExcerpt.of(received))"))
    }
    octets += received.count
    if octets > Self.octetLimit {
      probe.conclude(
        .init(probe.isHandshake ? .tls : .body, "no verdict within \(Self.octetLimit / 1024) KiB"))
    }
    context.fireChannelRead(data)
  }
}
