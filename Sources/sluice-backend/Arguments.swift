// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import LoadBalancing

/// The hook that the decapsulation program is attached to.
enum DecapsulationMode: String, CaseIterable, Codable, ExpressibleByArgument {
  /// XDP in the driver.
  case xdp
  /// clsact ingress, for drivers without XDP and for VLAN devices.
  case tc
  /// XDP in the network stack: any driver, slower than `tc`.
  case generic
}

enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
  case table
  case json
}

/// The interface of a command, and the paths of its record and pins.
struct InterfaceOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The interface that receives the balancers' packets.", valueName: "if"))
  var interface: String

  @OptionGroup var location: Location

  var record: String { location.record(of: interface) }

  /// The directory of the pins: as given, or else as `up` recorded it.
  func pins(_ record: HostRecord?) -> String { location.pins(of: interface, record) }

  func validate() throws { try Location.validate(interface: interface) }
}

/// The directories of records and pins.
struct Location: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The directory on bpffs for the pins of the program and its maps. (default: "
        + "/sys/fs/bpf/sluice-backend-IF)", valueName: "dir"))
  var pinDir: String?

  @Option(
    help: ArgumentHelp(
      "The directory that records what `down` has to undo. Use the same one for all interfaces of a host.",
      valueName: "dir"))
  var runDir = "/run/sluice-backend"

  func record(of interface: String) -> String { "\(runDir)/\(interface).json" }

  func pins(of interface: String, _ record: HostRecord?) -> String {
    pinDir ?? record?.pins ?? "/sys/fs/bpf/sluice-backend-\(interface)"
  }

  static func validate(interface: String) throws {
    // The name becomes part of paths. The kernel has the same rules.
    guard (1...15).contains(interface.utf8.count), interface != ".", interface != "..",
      !interface.contains(where: { $0 == "/" || $0.isWhitespace })
    else { throw ValidationError("--interface: '\(interface)' cannot be the name of an interface") }
  }

  func validate() throws {
    guard pinDir?.isEmpty != true else { throw ValidationError("--pin-dir: a directory's path is expected") }
    guard !runDir.isEmpty else { throw ValidationError("--run-dir: a directory's path is expected") }
  }
}

/// A list on the command line: `A,B`. Given more than once, the lists add up.
struct CommaSeparated<Element: LosslessStringConvertible>: ExpressibleByArgument {
  let elements: [Element]

  init?(argument: String) {
    var elements: [Element] = []
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      guard let element = Element(String(part)) else { return nil }
      elements.append(element)
    }
    self.elements = elements
  }
}

extension Sequence {
  /// The elements of all lists in ascending order, each once.
  func merged<Element>() -> [Element]
  where Self.Element == CommaSeparated<Element>, Element: Hashable & Comparable {
    Set(flatMap(\.elements)).sorted()
  }
}
