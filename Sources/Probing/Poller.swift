// SPDX-License-Identifier: Apache-2.0
internal import CProbing
internal import Glibc

/// Waits for descriptors to become readable or writable: epoll(7), with an eventfd(2) for wake-ups by other threads.
struct Poller: ~Copyable {
  /// The condition to wait for.
  struct Interest: OptionSet {
    let rawValue: UInt32

    static let reading = Self(rawValue: EPOLLIN.rawValue)
    static let writing = Self(rawValue: EPOLLOUT.rawValue)
  }

  private let epoll: CInt
  private let wakeup: CInt
  private var tokens = [UInt64](repeating: 0, count: Int(EPOLL_TOKENS))

  /// - Throws: the errno, for example if there are no free descriptors.
  init() throws(ProbingError) {
    epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
    wakeup = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
    guard epoll >= 0, wakeup >= 0, add(wakeup, .reading, token: .max) else {
      throw ProbingError(operation: "epoll", errno: errno)
    }
  }

  deinit {
    close(epoll)
    close(wakeup)
  }

  /// Adds a descriptor for one event; after that it must be added again.
  /// - Parameter token: returned with the event. The largest value is reserved.
  @discardableResult
  func add(_ descriptor: CInt, _ interest: Interest, token: UInt64) -> Bool {
    control(EPOLL_CTL_ADD, descriptor, interest, token)
  }

  @discardableResult
  func change(_ descriptor: CInt, _ interest: Interest, token: UInt64) -> Bool {
    control(EPOLL_CTL_MOD, descriptor, interest, token)
  }

  /// Removes a descriptor. A closed one need not be removed.
  func remove(_ descriptor: CInt) {
    _ = epoll_watch(epoll, EPOLL_CTL_DEL, descriptor, 0, 0)
  }

  private func control(_ operation: CInt, _ descriptor: CInt, _ interest: Interest, _ token: UInt64) -> Bool {
    let once = token == .max ? 0 : EPOLLONESHOT.rawValue
    return epoll_watch(epoll, operation, descriptor, interest.rawValue | once, token) == 0
  }

  /// Wakes the thread that waits.
  func wake() {
    var one: UInt64 = 1
    unsafe _ = write(wakeup, &one, 8)
  }

  /// Waits and returns the tokens of ready descriptors; none after a timeout or a wake-up.
  /// - Parameter patience: the timeout; `nil` for none.
  mutating func wait(patience: Duration?) -> [UInt64] {
    let count = unsafe epoll_tokens(epoll, &tokens, patience.map(Self.milliseconds) ?? -1)
    let ready = tokens.prefix(Int(max(count, 0)))
    if ready.contains(.max) {
      var count: UInt64 = 0
      unsafe _ = read(wakeup, &count, 8)
    }
    return ready.filter { $0 != .max }
  }

  /// Rounded up, so that the loop does not spin before a timer is due.
  static func milliseconds(_ duration: Duration) -> CInt {
    // A negative timeout would mean none.
    guard duration > .zero else { return 0 }
    let (seconds, attoseconds) = duration.components
    return CInt(clamping: seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}

/// The reason why there is no prober.
public struct ProbingError: Error, CustomStringConvertible {
  public let operation: String
  public let errno: CInt

  public var description: String { "\(operation): \(explanation(of: errno))" }
}

func explanation(of number: CInt) -> String {
  unsafe String(cString: strerror(number))
}
