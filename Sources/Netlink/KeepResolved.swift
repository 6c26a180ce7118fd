// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// What keeps a neighbour's hardware address known.
public enum NeighbourUpkeep: Hashable, Sendable {
  /// The kernel asks the neighbour again and again, until
  /// ``NetlinkSocket/stopKeepingResolved(_:interfaceIndex:)``.
  case kernel
  /// The kernel asked once; it is too old (before Linux 5.16) for more. Ask again before the entry goes
  /// stale.
  case caller
  /// The entry is the administrator's (permanent), or the link needs none; it was left alone.
  case notNeeded
}

extension NetlinkSocket {
  /// Has the kernel resolve an address now and, where it can, keep it resolved.
  ///
  /// Traffic that never passes the kernel's own stack does not refresh its neighbour entries; without this
  /// they go stale and vanish. The entry outlives this socket and the process, but not its link: when that
  /// goes down or loses its carrier, the kernel drops the entry (``NetlinkEvent/neighbour(_:removed:)``). Ask
  /// again then.
  @discardableResult
  public mutating func keepResolved(
    _ address: NetworkAddress, interfaceIndex: UInt32
  ) throws(NetlinkError) -> NeighbourUpkeep {
    // The kernel would turn an administrator's permanent entry into an ordinary one.
    let known = try neighbour(address, interfaceIndex: interfaceIndex)
    if let known, !known.state.isDisjoint(with: [.permanent, .noARP]) { return .notNeeded }

    try perform(
      "resolve", Self.neighbourSubject(address, interfaceIndex),
      Self.keepResolvedRequest(address, interfaceIndex: interfaceIndex))
    // An older kernel ignores the attribute that it does not know, and says nothing.
    let entry = try neighbour(address, interfaceIndex: interfaceIndex)
    return entry?.isManaged == true ? .kernel : .caller
  }

  /// Ends ``keepResolved(_:interfaceIndex:)``: the entry stays and ages like any other.
  public mutating func stopKeepingResolved(
    _ address: NetworkAddress, interfaceIndex: UInt32
  ) throws(NetlinkError) {
    guard try neighbour(address, interfaceIndex: interfaceIndex)?.isManaged == true else { return }
    // An update that uses the entry and does not say "managed" keeps state and hardware address.
    let request = try Self.neighbourRequest(
      RTM_NEWNEIGH, "release", address, interfaceIndex, messageFlags: NLM_F_REPLACE, flags: NTF_USE)
    do throws(NetlinkError) {
      try perform("release", Self.neighbourSubject(address, interfaceIndex), request)
    } catch  where error.errno == ENOENT {
      return
    }
  }

  /// `NTF_USE` asks once, on any kernel; `NTF_EXT_MANAGED` keeps asking, on those that know it.
  static func keepResolvedRequest(
    _ address: NetworkAddress, interfaceIndex: UInt32
  ) throws(NetlinkError) -> MessageWriter {
    var request = try neighbourRequest(
      RTM_NEWNEIGH, "resolve", address, interfaceIndex, messageFlags: NLM_F_CREATE | NLM_F_REPLACE,
      flags: NTF_USE)
    request.append(NDA_FLAGS_EXT, UInt32(NTF_EXT_MANAGED))
    return request
  }
}
