// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@_silgen_name("setns") private func setns(_ descriptor: Int32, _ type: Int32) -> Int32
@_silgen_name("unshare") private func unshare(_ flags: Int32) -> Int32

/// `CLONE_NEWNET` of `<linux/sched.h>`.
private let cloneNewNetwork: Int32 = 0x4000_0000

/// One end of a veth pair in a network namespace without a name, which goes with this value.
final class ScratchInterface {
  let name = "sl\(getpid())"
  let index: UInt32
  private let namespace: Int32

  init() throws {
    try #require(geteuid() == 0, "BPF tests need root")
    let name = name
    (namespace, index) = try Self.returning {
      try #require(unshare(cloneNewNetwork) == 0)
      try run("ip", "link", "add", name, "type", "veth", "peer", "name", "slpeer")
      try run("ip", "link", "set", name, "up")
      return (open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), if_nametoindex(name))
    }
    try #require(namespace >= 0 && index > 0)
  }

  deinit { close(namespace) }

  /// Runs `body` on this thread where the interface is.
  func inside<Result>(_ body: () throws -> Result) throws -> Result {
    try Self.returning {
      try #require(setns(namespace, 0) == 0)
      return try body()
    }
  }

  /// Sends a frame of no protocol out of the interface. To be called inside.
  func sendFrame() throws {
    let socket = socket(AF_PACKET, Int32(SOCK_RAW.rawValue), 0)
    try #require(socket >= 0)
    defer { close(socket) }
    // struct sockaddr_ll: family, protocol, interface, and no address.
    var address = [UInt32](repeating: 0, count: 5)
    address[0] = UInt32(AF_PACKET)
    address[1] = index
    let frame = [UInt8](repeating: 0x02, count: 12) + [0x88, 0xb5] + [UInt8](repeating: 0, count: 50)
    let sent = address.withUnsafeBytes {
      sendto(socket, frame, frame.count, 0, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), 20)
    }
    try #require(sent == frame.count)
  }

  /// Runs `body`, which may leave the thread in another namespace, and comes back.
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

private func run(_ command: String...) throws {
  var arguments = command.map { strdup($0) } + [nil]
  defer { for argument in arguments { free(argument) } }
  var process = pid_t()
  try #require(posix_spawnp(&process, command[0], nil, nil, &arguments, environ) == 0)
  var status: Int32 = 0
  while waitpid(process, &status, 0) < 0 { try #require(errno == EINTR) }
  try #require(status == 0, "\(command.joined(separator: " "))")
}
