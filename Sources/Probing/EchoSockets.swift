// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The raw sockets of echo requests (ICMP and ICMPv6), which take CAP_NET_RAW to open and nothing to use.
public final class EchoSockets: Sendable {
  public init() throws {
    throw ProbingError(operation: "raw socket", errno: EPERM)
  }
}
