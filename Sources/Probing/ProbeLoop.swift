// SPDX-License-Identifier: Apache-2.0
internal import CProbing
internal import DequeModule
internal import Glibc
internal import HeapModule
internal import LoadBalancing
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// The prober's thread: timers, descriptors, and the probes that wait for them.
///
/// Only this thread uses the properties that are neither atomic nor behind the mutex.
final class ProbeLoop: @unchecked Sendable {
  typealias Done = @Sendable (ProbeOutcome, _ begun: Duration) -> Void

  /// `nil`: probes cannot be steered into tunnels.
  let flows: SteeredFlows?
  let echo: EchoSockets?
  let group: any EventLoopGroup
  let inFlight = Atomic(0)
  private let limit: Int

  private struct Inbox {
    var timers: [ProbeTimer] = []
    var isStopped = false
    /// Whether the loop has ended and no longer reads it.
    var isClosed = false
  }
  private let inbox = Mutex(Inbox())

  private var timers = Heap<ProbeTimer>()
  private var timersMade: UInt64 = 0
  /// The number of timers whose runs have ended.
  private var timersInVain = 0
  /// The number of timers to handle before descriptors are polled again, so that neither starves the other.
  private static let timersInTurn = 256
  /// The delay of a deadline that is normal on a working machine.
  static let tolerableDelay = Duration.milliseconds(5)

  private var poller: Poller
  private let thread = Atomic<UInt>(0)
  /// Probes in flight by number, which is also their descriptor's token.
  private var runs: [UInt64: ProbeRun] = [:]
  private var runsMade: UInt64 = 0
  private var isEnding = false
  /// Probes beyond the limit, in order of arrival.
  private var queue: Deque<ProbeRequest> = []
  /// The receive buffer that all runs share.
  var buffer = [UInt8](repeating: 0, count: 65536)
  var echoes = EchoTable()

  init(steering: (any ProbeSteering)?, echo: EchoSockets?, maxInFlight: Int) throws {
    flows = steering.map(SteeredFlows.init)
    self.echo = echo
    poller = try Poller()
    limit = max(16, min(maxInFlight, Self.descriptorLimit() - 128))
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  }

  /// The limit of descriptors, after the soft limit was raised to the hard one.
  private static func descriptorLimit() -> Int {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard unsafe getrlimit(resource, &limit) == 0 else { return 1024 }
    limit.rlim_cur = limit.rlim_max
    unsafe _ = setrlimit(resource, &limit)
    unsafe _ = getrlimit(resource, &limit)
    return Int(clamping: limit.rlim_cur)
  }

  /// Begins the thread.
  func run() throws(ProbingError) { try unsafe run(with: nil) }

  /// - Parameter attributes: of the thread; nil: the default.
  func run(with attributes: UnsafePointer<pthread_attr_t>?) throws(ProbingError) {
    let retained = unsafe Unmanaged.passRetained(self)
    var id = pthread_t()
    let code = unsafe pthread_create(
      &id, attributes,
      { argument in
        let loop = unsafe Unmanaged<ProbeLoop>.fromOpaque(argument!).takeRetainedValue()
        loop.turn()
        return nil
      }, unsafe retained.toOpaque())
    guard code == 0 else {
      unsafe retained.release()
      HTTPConversation.end(group)
      throw ProbingError(operation: "start the prober's thread", errno: code)
    }
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
    _ = add(ProbeTimer(at: instant, action: .call(body)))
  }

  func start(_ probe: Probe, at instant: Duration, _ done: @escaping Done) {
    let request = ProbeRequest(probe, done)
    if !add(ProbeTimer(at: instant, action: .begin(request))) { request.fail(Self.stopped) }
  }

  /// - Returns: `false` if the loop has ended.
  private func add(_ timer: ProbeTimer) -> Bool {
    if thread.load(ordering: .relaxed) == pthread_self() {
      guard !isEnding else { return false }
      push(timer)
      return true
    }
    let isOpen = inbox.withLock { inbox in
      if !inbox.isClosed { inbox.timers.append(timer) }
      return !inbox.isClosed
    }
    if isOpen { poller.wake() }
    return isOpen
  }

  private func push(_ timer: ProbeTimer) {
    timersMade += 1
    var timer = timer
    timer.number = timersMade
    timers.insert(timer)
  }

  private func turn() {
    thread.store(pthread_self(), ordering: .relaxed)
    listenForEchoes()
    while emptyInbox() {
      passTimers(due: ProbeClock.now)
      hear(patience: timers.min.map { $0.at - ProbeClock.now })
    }
    end()
  }

  private func passTimers(due now: Duration) {
    var hasHeard = false
    var count = 0
    while count < Self.timersInTurn, let timer = timers.min, timer.at <= now {
      if !hasHeard, timer.isDeadline, timer.at + Self.tolerableDelay < now {
        hasHeard = true
        hearWhatIsThere()
        continue
      }
      _ = timers.popMin()
      pass(timer)
      count += 1
    }
  }

  /// Handles received answers before deadlines if this thread was delayed, so that they count.
  private func hearWhatIsThere() {
    // Each pass handles this number of descriptors, or of packets of an echo socket.
    for _ in 0...(runs.count / Int(EPOLL_TOKENS)) {
      guard hear(patience: .zero) else { return }
    }
  }

  /// Handles one batch of epoll events.
  /// - Returns: whether there were any.
  @discardableResult
  private func hear(patience: Duration?) -> Bool {
    let ready = poller.wait(patience: patience)
    for token in ready {
      if let run = runs[token] { run.isReady() } else { hearEchoes(token) }
    }
    return !ready.isEmpty
  }

  private func pass(_ timer: ProbeTimer) {
    switch timer.action {
    case .call(let body): body()
    case .begin(let request): begin(request)
    case .beginNext: if let request = queue.popFirst() { beginNow(request) }
    case .deadline(let number):
      if let run = runs[number] { run.expire() } else { timersInVain -= 1 }
    }
  }

  /// Fails everything that is still in flight.
  private func end() {
    isEnding = true
    for run in runs.values { run.finish(Self.stopped) }
    let late = inbox.withLock { inbox in
      defer { inbox = Inbox(isStopped: true, isClosed: true) }
      return inbox.timers
    }
    for timer in timers.unordered + late {
      if case .begin(let request) = timer.action { request.fail(Self.stopped) }
    }
    for request in queue { request.fail(Self.stopped) }
    timers = []
    queue = []
    HTTPConversation.end(group)
  }

  private static let stopped = ProbeOutcome.Failure(.local, "the prober stops")

  /// Whether the loop continues.
  private func emptyInbox() -> Bool {
    let (added, isStopped) = inbox.withLock { inbox in
      defer { inbox.timers = [] }
      return (inbox.timers, inbox.isStopped)
    }
    for timer in added { push(timer) }
    return !isStopped
  }

  // MARK: Probes

  private func begin(_ request: ProbeRequest) {
    guard queue.isEmpty, inFlight.load(ordering: .relaxed) < limit else { return queue.append(request) }
    beginNow(request)
  }

  private func beginNow(_ request: ProbeRequest) {
    inFlight.wrappingAdd(1, ordering: .relaxed)
    runsMade += 1
    let run = ProbeRun(request.probe, number: runsMade, on: self, request.done)
    runs[run.number] = run
    // A run that ended at once leaves an unused timer.
    push(ProbeTimer(at: run.deadline, action: .deadline(run.number)))
    run.begin()
  }

  /// Ends a probe and starts a waiting one.
  func ended(_ run: ProbeRun, isTimerPending: Bool) {
    runs[run.number] = nil
    inFlight.wrappingSubtract(1, ordering: .relaxed)
    if isEnding { return }
    // In another turn of the loop: otherwise runs that fail at once would start each other recursively.
    if !queue.isEmpty { push(ProbeTimer(at: .zero, action: .beginNext)) }
    if isTimerPending { timersInVain += 1 }
    if timersInVain > 4096, timersInVain > timers.count / 2 { dropTimersInVain() }
  }

  /// Most probes end long before their deadline. With a timeout of a minute, unused timers would take most of the
  /// memory.
  private func dropTimersInVain() {
    timers = Heap(
      timers.unordered.filter { timer in
        if case .deadline(let number) = timer.action { runs[number] != nil } else { true }
      })
    timersInVain = 0
  }

  /// Extends a run's deadline.
  func extend(_ run: ProbeRun, by patience: Duration) {
    push(ProbeTimer(at: ProbeClock.now + patience, action: .deadline(run.number)))
  }

  /// Calls the run once when its descriptor is ready.
  /// - Returns: `false` if the descriptor cannot be watched.
  func watch(_ run: ProbeRun, _ interest: Poller.Interest, isFirst: Bool) -> Bool {
    isFirst
      ? poller.add(run.descriptor, interest, token: run.number)
      : poller.change(run.descriptor, interest, token: run.number)
  }

  /// Stops watching a descriptor.
  func forget(_ descriptor: CInt) { poller.remove(descriptor) }

  // MARK: Echoes

  private static let echoTokens: [AddressFamily: UInt64] = [.v4: .max - 1, .v6: .max - 2]

  private func listenForEchoes() {
    guard let echo else { return }
    for (family, token) in Self.echoTokens where echo.descriptor(family) >= 0 {
      poller.add(echo.descriptor(family), .reading, token: token)
    }
  }

  private func hearEchoes(_ token: UInt64) {
    guard let echo, let family = Self.echoTokens.first(where: { $0.value == token })?.key else { return }
    for call in echoes.receive(from: echo, family, into: &buffer) { call() }
    poller.change(echo.descriptor(family), .reading, token: token)
  }
}
