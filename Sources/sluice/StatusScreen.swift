// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI

extension Rendering {
  /// One screen about the daemon.
  static func status(_ status: Status) -> String {
    let configuration = status.configuration
    let reload = configuration.lastReloadOk ? "ok" : "FAILED: \(configuration.lastReloadError ?? "")"
    var facts = [
      ("node", "\(status.node), sluiced \(status.version), up \(duration(status.uptimeS))"),
      ("interface", interface(status.interface)),
      (
        "config",
        "\(configuration.file), generation \(configuration.generation), last reload \(configuration.lastReloadAt) \(reload)"
      ),
    ]
    if configuration.overrides > 0 {
      facts.append(("drift", "\(configuration.overrides) runtime changes in force: sluice config diff"))
    }
    if !configuration.restartRequired.isEmpty {
      facts.append(("restart", "required for \(configuration.restartRequired.joined(separator: ", "))"))
    }
    facts.append(("packets", packets(status.verdicts)))
    facts.append(("flows", "\(status.flowsUsed) remembered, room for \(status.flowsCapacity)"))
    facts.append(("services", "\(status.services)"))
    let width = facts.map(\.0.count).max() ?? 0
    var lines = facts.map { $0 + String(repeating: " ", count: width - $0.count + 2) + $1 }
    lines += ["", pools(status.pools, headers: true)]
    let drops = status.verdicts.filter { $0.class == "dropped" && $0.packets > 0 }
    if !drops.isEmpty {
      lines += [""] + drops.map { "\($0.packets) packets \($0.verdict.replacing("_", with: " "))" }
    }
    for alarm in status.alarms {
      lines += ["", "ALARM \(alarm.code) since \(alarm.since): \(alarm.message)", "      try: \(alarm.cure)"]
    }
    return lines.joined(separator: "\n")
  }

  private static func interface(_ interface: Status.Interface) -> String {
    guard let mode = interface.mode else { return "\(interface.name), not attached: nothing is forwarded" }
    let speed = interface.fullSpeed ? "full speed" : "with speculation barriers: CAP_PERFMON is missing"
    return
      "\(interface.name), \(mode) XDP (\(interface.modeReason ?? "")), \(speed), MTU \(interface.mtu ?? 0)"
  }

  private static func packets(_ verdicts: [Status.Verdict]) -> String {
    ["forwarded", "passed", "answered", "dropped"].map { word in
      "\(verdicts.filter { $0.class == word }.reduce(0) { $0 + $1.packets }) \(word)"
    }.joined(separator: ", ")
  }
}
