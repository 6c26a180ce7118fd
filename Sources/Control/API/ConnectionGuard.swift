// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes
internal import Synchronization

/// Times and numbers that no client can exceed.
struct ConnectionLimits: Sendable {
  /// Open at a time. One more closes the connection that has been idle for longest.
  var connections = 64
  /// How long a connection may be open without a request.
  var idle = TimeAmount.seconds(30)
  /// From a request's head to its last octet, however steadily they come.
  var request = TimeAmount.seconds(10)
  /// From a request to the last octet of its answer, taken by the client, where the route of the request says nothing
  /// else. An answer that comes in parts has so long from one part to the next.
  var answer = TimeAmount.seconds(60)
  /// From the end of the server to that of its connections: answers that are under way have so long.
  var ending = Duration.seconds(2)
}

/// The open connections of a server.
final class OpenConnections: Sendable {
  private struct Connection {
    let channel: any Channel
    /// nil: it is busy with a request.
    var idleSince: NIODeadline?
  }

  private struct State {
    var open: [ObjectIdentifier: Connection] = [:]
    /// No connection may be open any more.
    var isClosed = false
  }

  private let limit: Int
  private let state = Mutex(State())

  init(limit: Int) { self.limit = limit }

  /// Adds a connection. Above the limit, the one that has been idle for longest is closed; where all are busy, the new
  /// one.
  func add(_ channel: any Channel) {
    let surplus: (any Channel)? = state.withLock { state in
      if state.isClosed { return channel }
      guard state.open.count >= limit else {
        state.open[ObjectIdentifier(channel)] = Connection(channel: channel, idleSince: .now())
        return nil
      }
      let idle = state.open.filter { $0.value.idleSince != nil }
      guard let idlest = idle.min(by: { $0.value.idleSince! < $1.value.idleSince! }) else { return channel }
      state.open[idlest.key] = nil
      state.open[ObjectIdentifier(channel)] = Connection(channel: channel, idleSince: .now())
      return idlest.value.channel
    }
    surplus?.close(promise: nil)
  }

  func remove(_ channel: any Channel) { state.withLock { $0.open[ObjectIdentifier(channel)] = nil } }

  func mark(_ channel: any Channel, isBusy: Bool) {
    state.withLock { $0.open[ObjectIdentifier(channel)]?.idleSince = isBusy ? nil : .now() }
  }

  /// Closes all connections, and those that come later at once.
  func closeAll() {
    let channels = state.withLock { state in
      state.isClosed = true
      return state.open.values.map(\.channel)
    }
    for channel in channels { channel.close(promise: nil) }
  }
}

/// Closes a connection that is idle, sends its request too slowly, or does not take its answer.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  private let limits: ConnectionLimits
  private let connections: OpenConnections
  private let patience: @Sendable (HTTPRequest) -> TimeAmount?
  private var deadline: Scheduled<Void>?
  /// What the answer to the latest request may take, and to those before it that have none yet.
  private var answer: TimeAmount
  /// Requests that began and whose answer is not written.
  private var pending = 0

  /// - Parameter patience: how long the answer to a request may take; nil: as the limits say.
  init(
    _ limits: ConnectionLimits, _ connections: OpenConnections,
    patience: @escaping @Sendable (HTTPRequest) -> TimeAmount?
  ) {
    self.limits = limits
    self.connections = connections
    self.patience = patience
    answer = limits.answer
  }

  func handlerAdded(context: ChannelHandlerContext) {
    connections.add(context.channel)
    allow(limits.idle, context)
  }

  func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    connections.remove(context.channel)
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let request):
      let wanted = patience(request) ?? limits.answer
      answer = pending == 0 ? wanted : max(answer, wanted)
      if pending == 0 { connections.mark(context.channel, isBusy: true) }
      pending += 1
      allow(limits.request, context)
    case .body: break
    case .end: allow(pending > 0 ? answer : limits.idle, context)
    }
    context.fireChannelRead(data)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let part = unwrapOutboundIn(data)
    if case .head = part { return context.write(data, promise: promise) }
    let isLast = if case .end = part { true } else { false }
    // A part is taken when the kernel has it, not while it waits for a client that does not read.
    let written = promise ?? context.eventLoop.makePromise()
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    written.futureResult.whenSuccess {
      let (guardian, context) = bound.value
      isLast ? guardian.answered(context) : guardian.allow(guardian.limits.answer, context)
    }
    context.write(data, promise: written)
  }

  private func answered(_ context: ChannelHandlerContext) {
    pending -= 1
    guard pending == 0 else { return }
    connections.mark(context.channel, isBusy: false)
    allow(limits.idle, context)
  }

  private func allow(_ time: TimeAmount, _ context: ChannelHandlerContext) {
    deadline?.cancel()
    let channel = context.channel
    deadline = context.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
  }
}
