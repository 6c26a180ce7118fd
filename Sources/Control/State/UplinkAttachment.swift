// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import Netlink

/// How the program was attached.
struct AttachmentReport: Equatable, Sendable {
  /// The link-layer address that the program takes for the interface's: it passes frames for another one.
  var address: HardwareAddress?
  /// Native or generic.
  var mode: AttachMode
  /// Why this mode, in a sentence.
  var reason: String
  /// The kernel's number of the program.
  var programID: UInt32
  /// Whether the program was loaded without speculation barriers.
  var isFullSpeed: Bool

  func notice(of interface: String, by requester: Requester?) -> Notice {
    let speed =
      mode == .generic
      ? "slow: generic mode" : isFullSpeed ? "full" : "with speculation barriers (no CAP_PERFMON)"
    return Notice.line(
      .notice, "attached",
      [
        "interface": interface, "mode": mode.rawValue, "reason": reason, "speed": speed,
        "by": requester?.identity ?? "sluiced",
      ]
    ).with(
      event: .event(
        "interface", interface, new: "attached, mode \(mode.rawValue)", reason: reason,
        by: requester?.identity))
  }
}

/// Whether the forwarding program is on an uplink's interface.
enum UplinkAttachment: Equatable, Sendable {
  /// The start has not attached it yet.
  case notYet
  /// - Parameter requested: when it was last asked to be attached again, because it was not seen on the interface.
  case attached(AttachmentReport, requested: Moment? = nil)
  /// It should be on the interface, and is not.
  case failed(String, requested: Moment?)
  /// An operator detached it.
  case detached(by: String)

  /// Whether the program is to be on the interface.
  var isWanted: Bool {
    switch self {
    case .attached, .failed: true
    case .notYet, .detached: false
    }
  }

  var report: AttachmentReport? { if case .attached(let report, _) = self { report } else { nil } }
  var trouble: String? { if case .failed(let trouble, _) = self { trouble } else { nil } }
  var detachedBy: String? { if case .detached(let by) = self { by } else { nil } }

  /// Whether the program runs for packets of the interface. It ends with an interface that is deleted, and any process
  /// that can open the pin can detach it.
  func isInForce(on link: Link) -> Bool {
    guard let report else { return false }
    return link.xdpPrograms.contains { $0.programID == report.programID }
  }

  /// Whether to ask for the program to be attached: not again while an earlier request may be under way.
  mutating func request(at now: Moment) -> Bool {
    switch self {
    case .attached(let report, let requested):
      guard isDue(requested, now) else { return false }
      self = .attached(report, requested: now)
    case .failed(let trouble, let requested):
      guard isDue(requested, now) else { return false }
      self = .failed(trouble, requested: now)
    case .notYet, .detached: return false
    }
    return true
  }
}

/// The programs that steer an uplink's probes.
struct ProbeHook: Equatable, Sendable {
  /// The interface on which they are in force; nil: none.
  var index: UInt32?
  /// Why they could not be attached.
  var trouble: String?
  private var requested: Moment?

  init(index: UInt32? = nil, trouble: String? = nil) {
    self.index = index
    self.trouble = trouble
  }

  func isInForce(on link: Link?) -> Bool { link != nil && index == link?.index }

  /// Whether to ask for the programs to be attached: not again while an earlier request may be under way.
  mutating func request(at now: Moment) -> Bool {
    guard isDue(requested, now) else { return false }
    requested = now
    return true
  }
}

/// A request that brought no result within this time is made again.
private let requestTimeout = Duration.seconds(5)

private func isDue(_ requested: Moment?, _ now: Moment) -> Bool {
  requested.map { $0.elapsed(at: now) >= requestTimeout } ?? true
}
