internal import DequeModule
// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HeapModule
internal import LoadBalancing
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// The prober's thread: timers, descriptors, and the conversations that wait for them.
///
/// What is not atomic or behind the mutex belongs to the thread.
final class ProbeLoop: @unchecked Sendable {
  typealias Done = @Sendable (ProbeOutcome, _ begun: Duration) -> Void

  let steering: (any ProbeSteering)?
  let echo: EchoSockets?
  let group: any EventLoopGroup
  let inFlight = Atomic(0)
  let sources = SourceAddresses()
  var echoes = EchoRequests()
  private let limit: Int

  private struct Inbox {
    var calls: [Timer] = []
    var isStopped = false
  }
  private let inbox = Mutex(Inbox())

  private struct Timer: Comparable {
    var at: Duration
    /// What comes first of those that are due together.
    var number: UInt64
    var body: @Sendable () -> Void

    static func < (left: Timer, right: Timer) -> Bool { (left.at, left.number) < (right.at, right.number) }
    static func == (left: Timer, right: Timer) -> Bool { left.number == right.number }
  }
  private var timers = Heap<Timer>()
  private var timersMade: UInt64 = 0

  private var poller: Poller
  private let thread = Atomic<UInt>(0)
  /// Probes that wait for their descriptor, by its token.
  private var runs: [UInt64: ProbeRun] = [:]
  private var tokensMade: UInt64 = 0
  private var isEnding = false
  /// Probes beyond the limit, in their order.
  private var queue: Deque<(probe: Probe, done: Done)> = []

  init(steering: (any ProbeSteering)?, echo: EchoSockets?, maxInFlight: Int) throws {
    self.steering = steering
    self.echo = echo
    poller = try Poller()
    for family in [AddressFamily.v4, .v6] {
      if let echo { poller.add(echo.descriptor(family), .reading, token: Poller.Token.echo(family)) }
    }
    limit = max(16, min(maxInFlight, Self.descriptorLimit() - 256))
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  }

  /// The limit of descriptors, raised as far as anybody may.
  private static func descriptorLimit() -> Int {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard unsafe getrlimit(resource, &limit) == 0 else { return 1024 }
    limit.rlim_cur = limit.rlim_max
    unsafe _ = setrlimit(resource, &limit)
    unsafe _ = getrlimit(resource, &limit)
    return Int(clamping: limit.rlim_cur)
  }

  func run() {
    let retained = unsafe Unmanaged.passRetained(self)
    var id = pthread_t()
    unsafe pthread_create(
      &id, nil,
      { argument in
        let loop = unsafe Unmanaged<ProbeLoop>.fromOpaque(argument!).takeRetainedValue()
        loop.turn()
        return nil
      }, unsafe retained.toOpaque())
    pthread_detach(id)
  }

  func stop() {
    let isFirst = inbox.withLock { inbox in
      defer { inbox.isStopped = true }
      return !inbox.isStopped
    }
    if isFirst { poller.wake() }
  }

  func call(at instant: Duration, _ body: @escaping @Sendable () -> Void) {
    if thread.load(ordering: .relaxed) == pthread_self() {
      push(instant, body)
    } else {
      inbox.withLock { $0.calls.append(Timer(at: instant, number: 0, body: body)) }
      poller.wake()
    }
  }

  private func push(_ instant: Duration, _ body: @escaping @Sendable () -> Void) {
    timersMade += 1
    timers.insert(Timer(at: instant, number: timersMade, body: body))
  }

  private func turn() {
    thread.store(pthread_self(), ordering: .relaxed)
    while takeInbox() {
      var now = ProbeClock.now
      while let timer = timers.min, timer.at <= now {
        _ = timers.popMin()
        timer.body()
        now = ProbeClock.now
      }
      for token in poller.wait(patience: timers.min.map { $0.at - now }) {
        if let run = runs[token] {
          run.isReady()
        } else if let family = Poller.Token.family(ofEcho: token) {
          readEchoes(family)
        }
      }
    }
    isEnding = true
    for run in runs.values { run.finish(Self.stopped) }
    for run in echoes.all { run.finish(Self.stopped) }
    for (_, done) in queue { done(ProbeOutcome(failure: Self.stopped, duration: .zero), ProbeClock.now) }
    queue = []
    group.shutdownGracefully { _ in }
  }

  private func readEchoes(_ family: AddressFamily) {
    guard let echo else { return }
    for (run, failure) in echoes.outcomes(echo, family) { run.finish(failure) }
  }

  private static let stopped = ProbeOutcome.Failure(.local, "the prober stops")

  /// Whether the loop goes on.
  private func takeInbox() -> Bool {
    let (calls, isStopped) = inbox.withLock { inbox in
      defer { inbox.calls = [] }
      return (inbox.calls, inbox.isStopped)
    }
    for call in calls { push(call.at, call.body) }
    return !isStopped
  }

  // MARK: Probes

  func begin(_ probe: Probe, _ done: @escaping Done) {
    guard inFlight.load(ordering: .relaxed) < limit else { return queue.append((probe, done)) }
    inFlight.wrappingAdd(1, ordering: .relaxed)
    ProbeRun(probe, on: self, done).begin()
  }

  /// A probe is over, and makes room for another.
  func ended() {
    inFlight.wrappingSubtract(1, ordering: .relaxed)
    // In a turn of its own: one that fails at once would otherwise begin the next within itself, and so on.
    if !queue.isEmpty, !isEnding { push(.zero) { [self] in beginNext() } }
  }

  private func beginNext() {
    if let (probe, done) = queue.popFirst() { begin(probe, done) }
  }

  /// Tells the run once when its descriptor is ready.
  /// - Returns: the token to ask again with.
  func watch(_ descriptor: CInt, _ interest: Poller.Interest, for run: ProbeRun, token: UInt64?) -> UInt64 {
    if let token {
      poller.change(descriptor, interest, token: token)
      return token
    }
    tokensMade += 1
    runs[tokensMade] = run
    poller.add(descriptor, interest, token: tokensMade)
    return tokensMade
  }

  func forget(_ token: UInt64, _ descriptor: CInt, isOpen: Bool) {
    runs[token] = nil
    if isOpen { poller.remove(descriptor) }
  }
}
