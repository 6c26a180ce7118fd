// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Netlink

@_silgen_name("setns") private func setns(_ descriptor: Int32, _ type: Int32) -> Int32
@_silgen_name("unshare") private func unshare(_ flags: Int32) -> Int32

/// `CLONE_NEWNET` of `<linux/sched.h>`.
private let cloneNewNetwork: Int32 = 0x4000_0000

/// A network namespace without a name: it is gone when its last user is, however that ends.
final class NetworkNamespace: Sendable {
  /// For `nsenter --net` and `ip link … netns`.
  let path: String
  private let descriptor: Int32

  init() throws {
    let namespace = try Self.returning {
      guard unshare(cloneNewNetwork) == 0 else { throw Failure("unshare (run as root)") }
      return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    }
    guard namespace >= 0 else { throw Failure("open the new namespace") }
    descriptor = namespace
    path = "/proc/\(getpid())/fd/\(namespace)"
    try run("ip", "link", "set", "lo", "up")
  }

  deinit { close(descriptor) }

  /// Runs `body` on this thread inside the namespace. What it opens stays there.
  func inside<Result: ~Copyable>(_ body: () throws -> Result) throws -> Result {
    try Self.returning {
      guard setns(descriptor, 0) == 0 else { throw Failure("setns (run as root)") }
      return try body()
    }
  }

  /// Runs a program to its end inside the namespace.
  func run(_ command: String...) throws {
    let words = ["nsenter", "--net=\(path)"] + command
    var arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var process = pid_t()
    let code = posix_spawnp(&process, "nsenter", nil, nil, &arguments, environ)
    guard code == 0 else { throw Failure("start \(words)", code) }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 {
      guard errno == EINTR else { throw Failure("wait for \(words)") }
    }
    guard status == 0 else { throw Failure("run \(command)", status) }
  }

  func set(_ setting: String, to value: Int) throws {
    try run("sh", "-c", "echo \(value) > /proc/sys/net/\(setting)")
  }

  /// Runs `body`, which may leave the thread in another namespace, and comes back.
  private static func returning<Result: ~Copyable>(_ body: () throws -> Result) throws -> Result {
    let home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    guard home >= 0 else { throw Failure("open own namespace") }
    defer {
      // A thread that is shared with other tests must not stay elsewhere.
      precondition(setns(home, 0) == 0, "cannot return to own namespace")
      close(home)
    }
    return try body()
  }
}

struct Failure: Error {
  let what: String
  let code: Int32
  init(_ what: String, _ code: Int32 = errno) {
    self.what = what
    self.code = code
  }
}

/// Two namespaces joined by a veth pair, `slnl0` near and `slnl1` far.
///
/// near: 10.99.0.1/24, fd99::1/64, 02:00:00:00:00:01. far: the same with 2.
struct Wire {
  static let nearMAC = HardwareAddress("02:00:00:00:00:01")!
  static let farMAC = HardwareAddress("02:00:00:00:00:02")!
  static let far: [IPAddress] = [IPAddress("10.99.0.2")!, IPAddress("fd99::2")!]

  let near: NetworkNamespace
  let far: NetworkNamespace

  init() throws {
    near = try NetworkNamespace()
    far = try NetworkNamespace()
    try near.run(
      "ip", "link", "add", "slnl0", "address", "\(Self.nearMAC)", "type", "veth",
      "peer", "name", "slnl1", "address", "\(Self.farMAC)", "netns", far.path)
    for (namespace, name, number) in [(near, "slnl0", 1), (far, "slnl1", 2)] {
      try namespace.run("ip", "address", "add", "10.99.0.\(number)/24", "dev", name)
      try namespace.run("ip", "address", "add", "fd99::\(number)/64", "dev", name, "nodad")
      try namespace.run("ip", "link", "set", name, "up")
    }
    try settle()
  }

  /// The kernel makes a link operational, and an IPv6 address of a new link usable, a little later than it
  /// says so.
  private func settle() throws {
    for (namespace, name) in [(near, "slnl0"), (far, "slnl1")] {
      var socket = try namespace.inside { try NetlinkSocket() }
      for _ in 0..<500 {
        if try socket.link(named: name)?.isRunning == true { break }
        usleep(10_000)
      }
    }
  }

  func nearSocket() throws -> NetlinkSocket {
    try near.inside { try NetlinkSocket() }
  }

  func nearIndex() throws -> UInt32 {
    var socket = try nearSocket()
    let link = try socket.link(named: "slnl0")
    return try #require(link).index
  }
}

/// The error that `body` throws, for comparison.
func failure(_ body: () throws -> Void) -> NetlinkError? {
  do {
    try body()
    return nil
  } catch {
    return error as? NetlinkError
  }
}

/// Calls `probe` until it returns a value; `nil` after a minute.
func eventually<Value>(_ probe: () throws -> Value?) async throws -> Value? {
  let deadline = ContinuousClock.now + .seconds(60)
  while ContinuousClock.now < deadline {
    if let value = try probe() { return value }
    try await Task.sleep(for: .milliseconds(20))
  }
  return nil
}
