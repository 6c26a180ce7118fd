// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// Where an XDP program runs.
public enum XDPMode: String, Sendable {
  /// In the driver, before the kernel allocates anything for the packet.
  case native
  /// In the network stack: any interface can, slowly.
  case generic
  /// On the card.
  case offloaded

  var flag: UInt32 {
    switch self {
    case .native: XDP_FLAGS_DRV_MODE
    case .generic: XDP_FLAGS_SKB_MODE
    case .offloaded: XDP_FLAGS_HW_MODE
    }
  }
}

/// The XDP program on an interface, attached by any process.
public struct XDPAttachment: Equatable, Sendable, CustomStringConvertible {
  public var mode: XDPMode
  public var programID: UInt32
  /// `nil` where this process may not look the program up (it takes `CAP_SYS_ADMIN`).
  public var programName: String?

  /// The program on an interface of this network namespace, or `nil`. Needs no capability.
  public static func current(interfaceIndex: UInt32) throws(BPFError) -> XDPAttachment? {
    var options = bpf_xdp_query_opts.sized()
    let (result, warnings) = LibbpfLog.collectingWarnings {
      unsafe bpf_xdp_query(CInt(interfaceIndex), 0, &options)
    }
    try check(result, .query, interfaceSubject(interfaceIndex), detail: warnings.joined(separator: "; "))
    let found: (mode: XDPMode, id: UInt32)? =
      if options.drv_prog_id != 0 {
        (.native, options.drv_prog_id)
      } else if options.skb_prog_id != 0 {
        (.generic, options.skb_prog_id)
      } else if options.hw_prog_id != 0 {
        (.offloaded, options.hw_prog_id)
      } else {
        nil
      }
    return found.map { found in
      XDPAttachment(mode: found.mode, programID: found.id, programName: ProgramInfo(id: found.id)?.name)
    }
  }

  public var description: String {
    let name = programName.map { "'\($0)' " } ?? ""
    return "XDP program \(name)(id \(programID), \(mode.rawValue))"
  }
}

/// The interface's name, or `nil` when this network namespace has none of that index.
func interfaceName(_ index: UInt32) -> String? {
  var buffer = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
  guard unsafe if_indextoname(index, &buffer) != nil else { return nil }
  return string(fromCharacters: buffer)
}

/// What errors call an interface.
func interfaceSubject(_ index: UInt32) -> String {
  interfaceName(index) ?? "interface \(index)"
}
