// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing
internal import Synchronization

/// What probes travel by: a program that sees what leaves the interface, and sends the packets of a probe's flow to
/// one backend, encapsulated as the forwarder would; and one that sees what comes in, and hands the answers to this
/// host's stack. Any thread may use it.
///
/// Loading takes privilege, all else none on Linux 6.6 and later. The programs leave the interface with this value.
public final class ProbeTunnel: Sendable {
  let program: BPFProgram
  let answerProgram: BPFProgram
  private let probes: BPFMap<probe_endpoint, probe_target>
  private let verdicts: PerCPUMap<UInt32, UInt64>
  private let backends: MappedArray<backend>
  private let hooks = Mutex<Hooks?>(nil)

  private struct Hooks {
    var leaving: PacketHook
    var answers: PacketHook

    var isInForce: Bool { leaving.isInForce && answers.isInForce }
  }

  /// Loads the program; it reads backends and pools where the forwarder does.
  /// - Parameter capacity: how many flows can be steered at a time.
  public convenience init(_ forwarder: Forwarder, capacity: Int = 32768) throws(DataplaneError) {
    let maps = forwarder.maps
    try self.init(
      backends: maps.backendRecords, pools: maps.poolRecords, hashKeys: forwarder.keys.keys,
      capacity: capacity)
  }

  init(
    backends: BPFMap<UInt32, backend>, pools: BPFMap<UInt32, pool>, hashKeys: [UInt64], capacity: Int
  ) throws(DataplaneError) {
    let object = try inKernel { () throws(BPFError) in
      var object = try BPFObject.open(.probe)
      try object.freeze(section: ".rodata.constants", as: forwarder_constants(hashKeys: hashKeys))
      try object.setMaxEntries(map: "probes", UInt32(capacity))
      for (name, map, entries) in [
        ("backends", backends.descriptor, try backends.info.maxEntries),
        ("pools", pools.descriptor, try pools.info.maxEntries),
      ] {
        try object.setMaxEntries(map: name, entries)
        try object.reuse(map: name, map)
      }
      return try object.load()
    }
    program = try inKernel { () throws(BPFError) in try object.program("steer_probe") }
    answerProgram = try inKernel { () throws(BPFError) in try object.program("take_answer") }
    probes = try inKernel { () throws(BPFError) in try object.map("probes") }
    verdicts = try inKernel { () throws(BPFError) in try object.perCPUMap("probe_verdicts") }
    self.backends = try inKernel { () throws(BPFError) in try backends.memoryMapped() }
  }

  deinit { detach() }

  // MARK: The interface

  /// Lets the programs see what leaves the interface and what comes in; they leave another one. Nothing is done where
  /// they see the interface already.
  /// - Throws: ``DataplaneError/egress(_:)``; then they see what they saw before.
  public func attach(interfaceIndex: UInt32) throws(DataplaneError) {
    do throws(BPFError) {
      try hooks.withLock { hooks throws(BPFError) in
        if let hooks, hooks.leaving.interfaceIndex == interfaceIndex, hooks.isInForce { return }
        let leaving = try PacketHook.attach(program, interfaceIndex: interfaceIndex, direction: .egress)
        let answers: PacketHook
        do throws(BPFError) {
          answers = try PacketHook.attach(answerProgram, interfaceIndex: interfaceIndex, direction: .ingress)
        } catch {
          if hooks == nil { _ = leaving.detach() }
          throw error
        }
        if let hooks {
          leaving.replace(hooks.leaving)
          answers.replace(hooks.answers)
        }
        hooks = Hooks(leaving: leaving, answers: answers)
      }
    } catch {
      throw .egress(error)
    }
  }

  /// The interface whose packets the programs see; nil: none, or it is gone.
  public var attachedInterface: UInt32? {
    hooks.withLock { hooks in
      guard let hooks, hooks.isInForce else { return nil }
      return hooks.leaving.interfaceIndex
    }
  }

  /// Leaves the interface. Where that takes a capability which is gone (before Linux 6.6) the programs stay, without
  /// a flow to act on, until the next start takes their place.
  public func detach() {
    hooks.withLock { hooks in
      guard let old = hooks else { return }
      let isGone = [old.leaving.detach(), old.answers.detach()]
      if isGone.contains(false) { forgetFlows() }
      hooks = nil
    }
  }

  private func forgetFlows() {
    for (flow, _) in (try? probes.entries()) ?? [] { _ = try? probes.delete(flow) }
  }

  // MARK: Flows

  /// From now on packets of the flow go to the backend, usable or not, until ``release(_:)``.
  /// - Parameter fromOwnAddress: whether the outer source is the flow's own, so that errors about the outer packet
  ///   come back to it; only where both headers have the same family. Else the pool's, with the flow's entropy.
  /// - Throws: also where as many flows are steered as there is room for.
  public func steer(
    _ flow: ProbeFlow, to number: BackendNumber, fromOwnAddress: Bool
  ) throws(DataplaneError) {
    guard let record = record(number) else { throw .unknownBackend(number) }
    var target = probe_target(flow)
    target.backend = number
    target.generation = record.generation
    target.flags = fromOwnAddress ? UInt32(PROBE_FROM_OWN_ADDRESS) : 0
    try inKernel { () throws(BPFError) in try probes.update(probe_endpoint(flow.endpoint), to: target) }
  }

  /// The flow is over: its packets go where any others do.
  public func release(_ flow: ProbeFlow) {
    _ = try? probes.delete(probe_endpoint(flow.endpoint))
  }

  /// What the interface saw of a flow since it was steered; nil: it is not steered.
  public func trace(of flow: ProbeFlow) -> ProbeTrace? {
    guard let target = try? probes.lookup(probe_endpoint(flow.endpoint)) else { return nil }
    return ProbeTrace(hasLeft: target.left > 0, isAnswered: target.answers > 0)
  }

  /// The largest packet of a probe, in octets from its IP header on, that reaches a backend in one piece; nil where
  /// the number stands for none. Smaller than 0 where the way does not even take the outer header.
  public func largestPacket(to number: BackendNumber) -> Int? {
    guard let record = record(number), let family = AddressFamily(rawValue: record.family) else { return nil }
    return Int(record.mtu) - family.headerLength
  }

  private func record(_ number: BackendNumber) -> backend? {
    guard number != UInt32(BACKEND_NONE), number < backends.count else { return nil }
    let record = backends[Int(number)]
    return record.family == 0 ? nil : record
  }

  /// Packets of probes by what became of them: `sent`, or why they were dropped. A train of segments counts once.
  public func counts() throws(DataplaneError) -> [String: UInt64] {
    let values = try inKernel { () throws(BPFError) in try verdicts.lookupAll() }
    let named = (0..<probe_verdict.PROBE_VERDICT_COUNT.rawValue).compactMap { raw in
      probe_verdict(rawValue: raw).map { ($0.name, values[Int(raw)].reduce(0, &+)) }
    }
    return Dictionary(uniqueKeysWithValues: named)
  }
}

extension probe_endpoint {
  init(_ endpoint: ProbeFlow.Endpoint) {
    self.init()
    unsafe withUnsafeMutableBytes(of: &address) {
      unsafe $0.copyBytes(from: endpoint.source.mappedOctets)
    }
    port = endpoint.sourcePort.bigEndian
    self.protocol = endpoint.transport.rawValue
  }
}

extension probe_target {
  fileprivate init(_ flow: ProbeFlow) {
    self.init()
    port = UInt32(flow.port.bigEndian)
    unsafe withUnsafeMutableBytes(of: &vip) { unsafe $0.copyBytes(from: flow.destination.octets) }
    unsafe withUnsafeMutableBytes(of: &stand_in) { unsafe $0.copyBytes(from: flow.standIn.octets) }
  }
}

extension probe_verdict {
  /// The enumerator in lower case, without its prefix.
  var name: String {
    switch self {
    case .PROBE_SENT: "sent"
    case .PROBE_NO_NEXT_HOP: "no_next_hop"
    case .PROBE_TOO_BIG: "too_big"
    case .PROBE_BACKEND_GONE: "backend_gone"
    case .PROBE_NO_ROOM: "no_room"
    case .PROBE_INVALID: "invalid"
    default: "unknown_\(rawValue)"
    }
  }
}
