// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation

extension Rendering {
  /// One screen about the daemon.
  static func status(_ status: Status, now: Date) -> String {
    var facts = Table([("", .left), ("", .left)])
    facts.rows = [
      ["node", "\(status.node), sluiced \(status.version), up \(duration(status.uptimeS))"],
      ["interface", interface(status.interface)],
    ]
    if !status.awaited.isEmpty {
      facts.rows.append([
        "waiting", "for the first health verdicts of pools \(status.awaited.joined(separator: ", "))",
      ])
    }
    facts.rows += configuration(status.configuration, now: now)
    facts.rows += [
      ["services", "\(status.services)"],
      ["packets", packets(status.verdicts)],
      ["flow table", "\(status.flowsUsed) of \(status.flowsCapacity) flows (\(used(status)))"],
    ]
    var blocks = [facts.rendered(headers: false)]
    if !status.pools.isEmpty { blocks.append(pools(status.pools, headers: true)) }
    blocks += ["dropped", "answered", "passed"].compactMap { verdicts(status, $0) }
    blocks += status.alarms.map { alarm in
      let more = alarm.objects.count > 1 ? " and \(alarm.objects.count - 1) more" : ""
      return visible(
        "ALARM \(alarm.code), \(alarm.object)\(more), since \(ago(alarm.since, now: now)): \(alarm.message)")
        + "\n  cure: \(visible(alarm.cure))"
    }
    return blocks.joined(separator: "\n\n")
  }

  /// The verdicts of a class that counted packets; nil where none did.
  private static func verdicts(_ status: Status, _ word: String) -> String? {
    let counted = status.verdicts.filter { $0.class == word && $0.packets > 0 }
    guard !counted.isEmpty else { return nil }
    var table = Table([(word.uppercased(), .left), ("PACKETS", .right)])
    table.rows = counted.sorted { $0.packets > $1.packets }.map { [$0.verdict, "\($0.packets)"] }
    return table.rendered()
  }

  private static func interface(_ interface: Status.Interface) -> String {
    let name = interface.name + (interface.renamedTo.map { ", which is called \($0) now" } ?? "")
    guard let mode = interface.mode else {
      return "\(name): not attached, nothing is forwarded"
        + (interface.modeReason.map { ": \($0)" } ?? "")
    }
    let parts = [
      "\(mode) XDP" + (interface.modeReason.map { " (\($0))" } ?? ""),
      speed(interface),
      interface.mtu.map { "MTU \($0)" }, interface.mac,
    ]
    return "\(name): \(parts.compactMap(\.self).joined(separator: ", "))"
  }

  private static func speed(_ interface: Status.Interface) -> String {
    if interface.mode == "generic" { return "SLOW: generic mode, behind the driver" }
    return interface.fullSpeed ? "full speed" : "SLOW: speculation barriers, for lack of CAP_PERFMON"
  }

  private static func configuration(_ configuration: Status.Configuration, now: Date) -> [[String]] {
    let outcome =
      configuration.lastReloadOk ? "ok" : "FAILED (\(configuration.lastReloadError ?? "no reason given"))"
    var rows = [
      ["config", "\(configuration.file), generation \(configuration.generation)"],
      ["last reload", "\(outcome), \(ago(configuration.lastReloadAt, now: now))"],
    ]
    if configuration.overrides > 0 {
      let changes = counted(configuration.overrides, "runtime change")
      rows.append(["drift", "\(changes) in force; see: sluice config diff"])
    }
    if !configuration.restartRequired.isEmpty {
      rows.append(["restart", "required for \(configuration.restartRequired.joined(separator: ", "))"])
    }
    return rows
  }

  private static func packets(_ verdicts: [Status.Verdict]) -> String {
    ["forwarded", "passed", "answered", "dropped"].map { word in
      "\(verdicts.filter { $0.class == word }.reduce(0) { $0 + $1.packets }) \(word)"
    }.joined(separator: ", ")
  }

  private static func used(_ status: Status) -> String {
    percent(Double(status.flowsUsed) / Double(max(status.flowsCapacity, 1)))
  }

  /// A time of the API as people say it; as it is, where it is not one.
  private static func ago(_ time: String, now: Date) -> String {
    guard let date = try? Date(time, strategy: .iso8601) else { return time }
    return "\(duration(now.timeIntervalSince(date))) ago"
  }
}
