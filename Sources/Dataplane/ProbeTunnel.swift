// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing
internal import Synchronization

/// Sends the packets of each probe to one backend, encapsulated as the forwarder would, and hands the answers to this
/// host's stack. Two traffic control programs do that, one at the egress of the interface and one at its ingress. Any
/// thread may use it.
///
/// Loading takes privilege. All else takes none on Linux 6.6 and later. With this value the programs are detached.
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

  /// Loads the program; it reads backends where the forwarder does.
  /// - Parameter capacity: how many flows can be steered at a time.
  public convenience init(_ forwarder: Forwarder, capacity: Int = 32768) throws(DataplaneError) {
    let maps = forwarder.maps
    try self.init(
      backends: maps.backendRecords, outerSources: maps.outerSourceRecords, hashKeys: forwarder.keys.keys,
      capacity: capacity)
  }

  init(
    backends: BPFMap<UInt32, backend>, outerSources: BPFMap<UInt32, outer_source>, hashKeys: [UInt64],
    capacity: Int
  ) throws(DataplaneError) {
    let object = try inKernel { () throws(BPFError) in
      var object = try BPFObject.open(.probe)
      try object.freeze(section: ".rodata.constants", as: forwarder_constants(hashKeys: hashKeys))
      try object.setMaxEntries(map: "probes", UInt32(capacity))
      for (name, map, entries) in [
        ("backends", backends.descriptor, try backends.info.maxEntries),
        ("outer_sources", outerSources.descriptor, try outerSources.info.maxEntries),
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

  /// Attaches both programs to the interface, and detaches them from the one before. Does nothing where they are
  /// attached already.
  /// - Throws: ``DataplaneError/egress(_:)``; then they are where they were before.
  public func attach(interfaceIndex: UInt32) throws(DataplaneError) {
    do throws(BPFError) {
      try hooks.withLock { hooks throws(BPFError) in
        if let hooks, hooks.leaving.interfaceIndex == interfaceIndex, hooks.isInForce { return }
        let leaving = try PacketHook.attach(program, interfaceIndex: interfaceIndex, direction: .egress)
        let answers: PacketHook
        do throws(BPFError) {
          answers = try PacketHook.attach(answerProgram, interfaceIndex: interfaceIndex, direction: .ingress)
        } catch {
          // Unless it is the filter that an earlier call left there.
          if hooks?.leaving.interfaceIndex != interfaceIndex { _ = leaving.detach() }
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

  /// The interface that the programs are attached to; nil: none, or it is gone.
  public var attachedInterface: UInt32? {
    hooks.withLock { hooks in
      guard let hooks, hooks.isInForce else { return nil }
      return hooks.leaving.interfaceIndex
    }
  }

  /// Detaches the programs. Where that takes a capability which is gone (before Linux 6.6) they stay, without a flow to
  /// act on, and the next start replaces them.
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

  /// Stops steering the flow.
  public func release(_ flow: ProbeFlow) {
    _ = try? probes.delete(probe_endpoint(flow.endpoint))
  }

  /// What the interface saw of a flow since it was steered; nil: it is not steered.
  public func trace(of flow: ProbeFlow) -> ProbeTrace? {
    guard let target = try? probes.lookup(probe_endpoint(flow.endpoint)) else { return nil }
    return ProbeTrace(hasLeft: target.sent > 0, isAnswered: target.answers > 0)
  }

  private func record(_ number: BackendNumber) -> backend? {
    guard number != UInt32(BACKEND_NONE), number < backends.count else { return nil }
    let record = backends[Int(number)]
    return record.generation == 0 ? nil : record
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
    unsafe probe_verdict_name(self).map { unsafe String(cString: $0).lowercased() } ?? "unknown_\(rawValue)"
  }
}
