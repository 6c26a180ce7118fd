// SPDX-License-Identifier: Apache-2.0

/// A backend's number in the kernel's maps; 0 is "no backend".
public typealias BackendNumber = UInt32

/// The packet path's time in units of about a second, modulo 2^26. Compare differences only.
public struct Tick: Hashable, Sendable {
  /// Seconds, as ticks of the given length; part of a tick counts as one.
  public static func count(seconds: Int, length: Double) -> UInt32 {
    UInt32(clamping: Int((Double(seconds) / length).rounded(.up)))
  }

  public static let modulus: UInt32 = 1 << 26
  public let value: UInt32

  public init(_ value: UInt32) { self.value = value % Self.modulus }

  /// Ticks from `earlier` to this one.
  public func since(_ earlier: Tick) -> UInt32 { (value &- earlier.value) % Self.modulus }
}

/// One slot of a forwarding table with memory.
///
/// A word, laid out as in the kernel's table, because there are millions of them: current in bits 0–17, previous in
/// 18–35, state in 36–37, since in 38–63.
public struct Slot: Hashable, Sendable, BitwiseCopyable {
  public enum State: UInt32, Hashable, Sendable {
    /// All flows of the slot belong to ``Slot/current``.
    case stable = 0
    /// ``Slot/current`` is new; flows may still belong to ``Slot/previous`` or be in the flow table.
    case changed
    /// New flows are not recorded; recorded flows keep their backend.
    case settling
  }

  public private(set) var word: UInt64

  public init(word: UInt64) { self.word = word }

  public init(
    current: BackendNumber, previous: BackendNumber = 0, state: State = .stable, since: Tick = Tick(0)
  ) {
    word =
      UInt64(current) & Self.backend | (UInt64(previous) & Self.backend) << 18 | UInt64(state.rawValue) << 36
      | UInt64(since.value) << 38
  }

  private static let backend: UInt64 = 0x3ffff

  public var current: BackendNumber { BackendNumber(word & Self.backend) }

  /// The last stable owner.
  public var previous: BackendNumber {
    get { BackendNumber(word >> 18 & Self.backend) }
    set { self = Slot(current: current, previous: newValue, state: state, since: since) }
  }

  public var state: State {
    get { State(rawValue: UInt32(word >> 36 & 3)) ?? .stable }
    set { self = Slot(current: current, previous: previous, state: newValue, since: since) }
  }

  /// When the slot became changed.
  public var since: Tick { Tick(UInt32(word >> 38)) }

  /// What the slot becomes when a published table gives it `owner`.
  ///
  /// A slot that changes again while changed keeps its previous backend and its time: every flow of the backends in
  /// between is in the flow table, so an unknown flow can only belong to the last stable owner.
  /// - Parameter settling: how slots of the pool settle.
  public func given(to owner: BackendNumber, at now: Tick, _ settling: Settling) -> Slot {
    if state == .changed, !settling.mayHaveSettled(self, at: now) {
      return Slot(current: owner, previous: previous, state: .changed, since: since)
    }
    guard owner != current else { return self }
    // A slot that had no owner remembers none. It is changed nevertheless: the flows that begin from now on are written
    // to the flow table, so that a further change, as more backends come up, finds them there.
    return Slot(current: owner, previous: current, state: .changed, since: now)
  }
}

extension Slot: CustomStringConvertible {
  public var description: String {
    state == .stable ? "\(current)" : "\(current) (\(state) since \(since.value), previous \(previous))"
  }
}
