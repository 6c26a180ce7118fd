// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// An encapsulation as the command line names it: `ipip`, `gre`, `gue`, `gue:7000`, `fou`, `fou:7000`.
struct TunnelFormat: Hashable, LosslessStringConvertible {
  let kind: Encapsulation.Kind
  /// nil: none, or the standard ones.
  let port: UInt16?

  init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let kind = parts.first.flatMap({ Encapsulation.Kind(rawValue: String($0)) }),
      Encapsulation(kind: kind).isTunnel
    else { return nil }
    self.kind = kind
    guard parts.count == 2 else {
      port = nil
      return
    }
    guard kind.standardPorts != nil, let number = UInt16(parts[1]), number > 0 else { return nil }
    port = number
  }

  var description: String { port.map { "\(kind.rawValue):\($0)" } ?? kind.rawValue }

  /// The UDP ports that it means.
  fileprivate var ports: Set<UInt16> {
    if let port { return [port] }
    return Set(kind.standardPorts.map { [$0.v4, $0.v6] } ?? [])
  }
}

/// The encapsulations that the program takes; packets in others pass.
struct TunnelFormats: Equatable {
  var takesIPIP = true
  var takesGRE = false
  var guePorts: Set<UInt16> = []
  var fouPorts: Set<UInt16> = []

  init() {}

  init(_ formats: some Sequence<TunnelFormat>) {
    takesIPIP = false
    for format in formats {
      switch format.kind {
      case .ipip: takesIPIP = true
      case .gre: takesGRE = true
      case .gue: guePorts.formUnion(format.ports)
      case .fou: fouPorts.formUnion(format.ports)
      case .l2: break
      }
    }
  }

  /// Those ports that two formats claim.
  var ambiguousPorts: [UInt16] { guePorts.intersection(fouPorts).sorted() }

  static let mostPorts = Int(TUNNEL_PORTS_MAX)

  /// As the command line names them.
  var names: [String] {
    (takesIPIP ? ["ipip"] : []) + (takesGRE ? ["gre"] : []) + guePorts.sorted().map { "gue:\($0)" }
      + fouPorts.sorted().map { "fou:\($0)" }
  }

  /// The most octets that one of them adds to a packet.
  func overhead(for family: AddressFamily) -> Int {
    var all = [Encapsulation()]
    if takesGRE { all.append(Encapsulation(kind: .gre)) }
    if !fouPorts.isEmpty { all.append(Encapsulation(kind: .fou)) }
    if !guePorts.isEmpty { all.append(Encapsulation(kind: .gue, variant: .header)) }
    return all.map { $0.overhead(for: family) }.max() ?? 0
  }

  fileprivate static let ipip: UInt64 = 1 << 4 | 1 << 41
  fileprivate static let gre: UInt64 = 1 << 47
  fileprivate static let udp: UInt64 = 1 << 17

  /// Bits by number of IP protocols.
  fileprivate var protocols: UInt64 {
    (takesIPIP ? Self.ipip : 0) | (takesGRE ? Self.gre : 0)
      | (guePorts.isEmpty && fouPorts.isEmpty ? 0 : Self.udp)
  }

  /// Keys and values of `tunnel_ports`.
  fileprivate var portEntries: [UInt32: UInt32] {
    let entries =
      guePorts.map { ($0, UInt32(PORT_CARRIES_GUE)) } + fouPorts.map { ($0, UInt32(PORT_CARRIES_IP)) }
    return Dictionary(entries.map { (UInt32($0.bigEndian), $1) }, uniquingKeysWith: { $1 })
  }
}

extension Decapsulation {
  /// Programs of versions without these maps take IPIP.
  func formats() throws(BPFError) -> TunnelFormats {
    guard let tunnelFormats, let tunnelPorts else { return TunnelFormats() }
    let protocols = try tunnelFormats.lookup(0)?.protocols ?? 0
    var formats = TunnelFormats([])
    formats.takesIPIP = protocols & TunnelFormats.ipip == TunnelFormats.ipip
    formats.takesGRE = protocols & TunnelFormats.gre != 0
    for (key, carried) in try tunnelPorts.entries() {
      let port = UInt16(truncatingIfNeeded: key).bigEndian
      if carried == UInt32(PORT_CARRIES_GUE) {
        formats.guePorts.insert(port)
      } else {
        formats.fouPorts.insert(port)
      }
    }
    return formats
  }

  /// Adds what is missing before it removes what is not wanted.
  func install(_ wanted: TunnelFormats) throws(BPFError) {
    guard let tunnelFormats, let tunnelPorts else { return }
    let entries = wanted.portEntries
    let unwanted = try tunnelPorts.entries().map(\.key).filter { entries[$0] == nil }
    // Before, if there is no room for both.
    if entries.count + unwanted.count > TunnelFormats.mostPorts {
      for key in unwanted { try tunnelPorts.delete(key) }
    }
    for (key, carried) in entries { try tunnelPorts.update(key, to: carried) }
    try tunnelFormats.update(0, to: tunnel_formats(protocols: wanted.protocols))
    for key in unwanted where try tunnelPorts.lookup(key) != nil { try tunnelPorts.delete(key) }
  }
}
