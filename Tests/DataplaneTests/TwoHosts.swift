// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import TestSupport
import Testing

@_silgen_name("setns") private func setns(_ descriptor: Int32, _ type: Int32) -> Int32
@_silgen_name("unshare") private func unshare(_ flags: Int32) -> Int32
@_silgen_name("capset") private func capset(_ header: UnsafeRawPointer, _ data: UnsafeRawPointer) -> Int32

/// A balancer and a backend in network namespaces without names, joined by a veth. They go with this value.
///
/// The balancer's way to the VIPs leads to a router that does not exist: what is not sent through a tunnel is lost.
final class TwoHosts {
  static let vips = [ip("10.88.0.1"), ip("fd88::1")]
  static let balancerAddresses = [ip("10.77.0.1"), ip("fd77::1")]
  static let backendAddresses = [ip("10.77.0.2"), ip("fd77::2")]
  static let backendMAC: HardwareAddress = "02:00:00:00:77:02"

  let balancer: Host
  let backend: Host

  init() throws {
    guard geteuid() == 0 else { throw RootNeeded() }
    backend = try Host()
    balancer = try Host()
    try makeLeg()
  }

  /// Makes the veth; also after its end on the balancer was deleted.
  func makeLeg() throws {
    try balancer.run(
      "ip", "link", "add", "slleg", "address", "02:00:00:00:77:01", "type", "veth", "peer", "name", "slleg",
      "address", "02:00:00:00:77:02", "netns", "/proc/\(getpid())/fd/\(backend.namespace)")
    for (host, end) in [(balancer, 1), (backend, 2)] {
      try host.run("ip", "link", "set", "lo", "up")
      try host.run("ip", "address", "add", "10.77.0.\(end)/24", "dev", "slleg")
      try host.run("ip", "address", "add", "fd77::\(end)/64", "dev", "slleg", "nodad")
      try host.run("ip", "link", "set", "slleg", "up")
    }
    for (router, vip) in [("10.77.0.9", "10.88.0.1"), ("fd77::9", "fd88::1")] {
      try balancer.run(
        "ip", "neighbour", "replace", router, "lladdr", "02:00:00:00:77:09", "dev", "slleg", "nud",
        "permanent")
      try balancer.run("ip", "route", "replace", vip, "via", router)
    }
  }

  /// The balancer's end.
  func index() throws -> UInt32 { try balancer.inside { if_nametoindex("slleg") } }
}

/// A network namespace without a name.
final class Host {
  let namespace: Int32

  init() throws {
    namespace = try Self.returning {
      try #require(unshare(0x4000_0000) == 0)  // CLONE_NEWNET
      return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    }
    try #require(namespace >= 0)
  }

  deinit { close(namespace) }

  /// Runs `body` on this thread in the namespace.
  func inside<Result>(_ body: () throws -> Result) throws -> Result {
    try Self.returning {
      try #require(setns(namespace, 0) == 0)
      return try body()
    }
  }

  func run(_ command: String...) throws { try run(command) }

  func run(_ command: [String]) throws {
    try inside {
      var arguments = command.map { strdup($0) } + [nil]
      defer { for argument in arguments { free(argument) } }
      var process = pid_t()
      try #require(posix_spawnp(&process, command[0], nil, nil, &arguments, environ) == 0)
      var status: Int32 = 0
      while waitpid(process, &status, 0) < 0 { try #require(errno == EINTR) }
      try #require(status == 0, "\(command.joined(separator: " "))")
    }
  }

  private static func returning<Result>(_ body: () throws -> Result) throws -> Result {
    let home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    try #require(home >= 0)
    defer {
      // A thread that is shared with other tests must not stay elsewhere.
      precondition(setns(home, 0) == 0, "cannot return to own namespace")
      close(home)
    }
    return try body()
  }
}

/// Runs `body` on a thread of its own without any capability, in the caller's namespaces.
func withoutCapabilities<Success>(_ body: @escaping () throws -> Success) throws -> Success {
  var result: Result<Success, any Error>?
  let work = Work {
    let header: [UInt32] = [0x2008_0522, 0]  // _LINUX_CAPABILITY_VERSION_3
    precondition(capset(header, [UInt32](repeating: 0, count: 6)) == 0)
    result = Result { try body() }
  }
  var thread = pthread_t()
  let started = pthread_create(
    &thread, nil,
    { argument in
      Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
      return nil
    }, Unmanaged.passRetained(work).toOpaque())
  try #require(started == 0)
  pthread_join(thread, nil)
  return try result!.get()
}

private final class Work {
  let body: () -> Void
  init(_ body: @escaping () -> Void) { self.body = body }
}
