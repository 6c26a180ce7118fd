// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import LoadBalancing

/// The argument of `--mss`: the largest TCP segment (MSS) that SYNs and SYN-ACKs from the VIPs announce to clients.
enum SegmentSize: Equatable, ExpressibleByArgument {
  /// What fits the interface's MTU with the longest outer header of the balancers.
  case auto
  /// As many octets, for both families.
  case octets(Int)

  /// 536: what every IPv4 host takes (RFC 9293 section 3.7.1).
  private static let range = 536...65_495

  init?(argument: String) {
    if argument == "auto" {
      self = .auto
    } else if let octets = Int(argument), Self.range.contains(octets) {
      self = .octets(octets)
    } else {
      return nil
    }
  }

  /// The limits by family of the packet.
  func limits(mtu: Int, _ lists: AddressLists) -> SegmentLimits {
    switch self {
    case .octets(let octets): SegmentLimits(v4: octets, v6: octets)
    case .auto: SegmentLimits(fitting: mtu - lists.overhead)
    }
  }
}

/// The largest MSS that is announced to clients, for each IP family.
struct SegmentLimits: Equatable, Encodable {
  var v4: Int
  var v6: Int

  init(v4: Int, v6: Int) { (self.v4, self.v6) = (v4, v6) }

  /// - Parameter length: of the largest packet.
  init(fitting length: Int) {
    func limit(_ family: AddressFamily) -> Int { max(length - family.headerLength - 20, 1) }
    self.init(v4: limit(.v4), v6: limit(.v6))
  }
}

extension AddressLists {
  /// The most octets that a balancer puts in front of a packet to this host.
  fileprivate var overhead: Int {
    AddressFamily.allCases.filter { family in
      tunnelAddresses.contains { $0.family == family } && sources.contains { $0.address.family == family }
    }.map(formats.overhead).max() ?? 0
  }
}
