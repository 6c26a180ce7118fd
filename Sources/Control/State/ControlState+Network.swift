// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// How the data plane follows the network, and how the program is attached and detached.
extension ControlState {
  /// Reads the network now or, where a reading is under way, after it.
  mutating func readNetwork(_ scope: NetworkReads.Scope, _ turn: Turn) {
    if networkReads.request(scope) { beginNetworkRead(scope, turn) }
  }

  private mutating func beginNetworkRead(_ scope: NetworkReads.Scope, _ turn: Turn) {
    var query = networkQuery(turn)
    if scope == .due { query.addresses = view.uplinks.addressesDue(of: query.addresses) }
    emit(.readNetwork(query))
  }

  func networkQuery(_ turn: Turn) -> NetworkQuery {
    let addresses = view.forwarding.desired.backendAddresses.union(
      view.forwarding.installed.backends.values.map(\.address))
    return view.uplinks.query(for: addresses, vips: turn.board?.vipsOfOtherFamilies ?? [])
  }

  /// The network was read.
  mutating func networkRead(_ result: Result<NetworkView, NetlinkError>, _ turn: Turn) {
    let (counts, next) = networkReads.end()
    guard isRunning else { return }
    if let next { beginNetworkRead(next, turn) }
    guard counts else { return }
    let (actions, notices) = view.uplinks.observe(
      result, installed: view.forwarding.installed, at: turn.now)
    emit(notices)
    carryOut(actions)
    reportReadiness()
    updateAlarms(turn)
  }

  /// Carries out what the uplinks ask for.
  private mutating func carryOut(_ actions: [UplinkAction]) {
    for action in actions {
      switch action {
      case .attach:
        // The program is not there because it is being detached.
        if case .detaching? = changes.current?.step { continue }
        if let request = view.uplinks.attachRequest(by: nil) { emit(.attach(request)) }
      case .setInterfaceAddress(let address): emit(.setInterfaceAddress(address))
      case .attachProbeHook(let index): emit(.attachProbeHook(interfaceIndex: index))
      case .setNextHops: kernel.wantedNextHops = .all
      case .updateProbePaths: updateProbePaths()
      }
    }
  }

  /// Takes in how an attachment ended.
  mutating func noteAttachment(_ result: Result<AttachmentReport, DataplaneError>, by requester: Requester?) {
    let (actions, notices) = view.uplinks.attached(result, by: requester)
    emit(notices)
    carryOut(actions)
  }

  // MARK: Attaching and detaching

  mutating func beginAttachment(_ change: Change) throws {
    if change.terms.dryRun { return finish(.success(reply(to: change))) }
    if case .detach = change.request {
      changes.current?.step = .detaching
      return emit(.detach)
    }
    guard !view.uplinks.isForwarding else { return finish(.success(reply(to: change))) }
    guard let request = view.uplinks.attachRequest(by: change.requester) else {
      throw ControlError.refused(
        "interface-missing",
        "interface \(view.uplinks.configuredName) does not exist: create it, then try again")
    }
    changes.current?.step = .attaching
    emit(.attach(request))
  }

  private func reply(to change: Change) -> ChangeReply {
    var sign = "+"
    if case .detach = change.request { sign = "-" }
    return ChangeReply(
      generation: view.configuration.generation, dryRun: change.terms.dryRun,
      effect: ChangeEffect(
        changes: ["\(sign) forwarding of all services"], pools: [], warnings: []))
  }

  mutating func attached(
    _ result: Result<AttachmentReport, DataplaneError>, by requester: Requester?, _ turn: Turn
  ) {
    if case .attaching(let begun) = phase { return startAttached(result, begun, turn) }
    networkReads.outdate()
    noteAttachment(result, by: requester)
    if requester != nil, let change = changes.current, case .attaching = change.step {
      finishAttachment(result.map { _ in }, change)
    }
    reportReadiness()
    updateAlarms(turn)
  }

  mutating func detached(_ result: Result<Void, DataplaneError>, _ turn: Turn) {
    guard let change = changes.current, case .detaching = change.step else { return }
    if case .success = result { emit(view.uplinks.detached(by: change.requester)) }
    finishAttachment(result, change)
    updateAlarms(turn)
  }

  private mutating func finishAttachment(_ result: Result<Void, DataplaneError>, _ change: Change) {
    switch result {
    case .success:
      view.configuration.generation += 1
      finish(.success(reply(to: change)))
    case .failure(let error): finish(.failure(error))
    }
  }
}
