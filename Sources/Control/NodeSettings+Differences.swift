// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

extension NodeSettings {
  /// The keys, as the configuration spells them, in which these settings differ: those need a restart.
  func differences(from running: NodeSettings) -> [String] {
    let pairs: [(String, Bool)] = [
      ("node.name", name == running.name),
      ("interfaces", interface == running.interface),
      ("limits", limits == running.limits),
      ("hash_seed", hashSeed == running.hashSeed),
      ("paths.pins", pinDirectory == running.pinDirectory),
      ("paths.state", stateDirectory == running.stateDirectory),
      ("control", controlSocket == running.controlSocket && controlGroup == running.controlGroup),
      (
        "status",
        statusSocket == running.statusSocket && statusGroup == running.statusGroup
          && statusListen == running.statusListen
      ),
    ]
    return pairs.filter { !$0.1 }.map(\.0)
  }
}
