// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// Ends forwarding where no daemon runs.
public enum OfflineDetach {
  /// Detaches the program that the configuration's pins hold, and removes the pins.
  /// - Returns: what was done, a line each.
  /// - Throws: ``ConfigurationInvalid`` or ``StartError``; also where a daemon uses the pins. Nothing was changed then.
  public static func run(configurationPath: String) throws -> [String] {
    let report = ConfigurationLoader.load(path: configurationPath)
    guard let node = report.configuration?.node else {
      throw ConfigurationInvalid(report: report.rendered())
    }
    let lock: PinLock
    do throws(DataplaneError) {
      lock = try PinLock(node.pinDirectory)
    } catch {
      throw StartError(error, cure: "a daemon that runs is told by: sluice detach")
    }
    return try withExtendedLifetime(lock) {
      do throws(DataplaneError) {
        return describe(try Forwarder.detachPinned(in: node), node)
      } catch {
        throw StartError("\(error)", cure: nil)
      }
    }
  }

  private static func describe(_ done: Forwarder.Detached, _ node: NodeSettings) -> [String] {
    let place =
      switch done.attachment {
      case .none: "no program was attached"
      case .here(let index): "the program is detached from \(name(of: index))"
      case .elsewhere(let index):
        "the program is detached from interface \(index) of another network namespace"
      }
    let sets = done.sets == 1 ? "1 set of maps" : "\(done.sets) sets of maps"
    return [place, "\(sets) removed from \(node.pinDirectory)", "nothing is forwarded by these pins"]
  }

  private static func name(of index: UInt32) -> String {
    guard var network = try? NextHops(policy: .kernel), let link = try? network.link(index: index) else {
      return "interface \(index)"
    }
    return link.name
  }
}
