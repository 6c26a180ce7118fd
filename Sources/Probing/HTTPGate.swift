// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import NIOCore

/// The first handler of a probe's pipeline, next to the socket. It counts all received octets, including those that TLS
/// consumes, and closes the connection without TLS's close_notify, for which a server could keep the probe waiting.
final class HTTPGate: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  /// The limit for all received octets. Head and body have smaller limits of their own; handshake, TLS records and
  /// chunk framing add to them.
  static let octetLimit = 256 * 1024

  /// Both are released with the channel, which closes before the probe ends.
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
