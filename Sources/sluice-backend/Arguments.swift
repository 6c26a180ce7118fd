// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import LoadBalancing

/// Where the decapsulation program sits in a packet's way.
enum AttachMode: String, CaseIterable, Codable, ExpressibleByArgument {
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

/// Which interface a command is about, and where its traces on this host are.
struct Place: ParsableArguments {
  @Option(help: ArgumentHelp("The interface that the balancers' packets come in by.", valueName: "if"))
  var interface: String

  @OptionGroup var location: Location

  var record: String { location.record(of: interface) }

  /// Where the pins are: as asked, or else where `up` put them.
  func pins(_ record: HostRecord?) -> String { location.pins(of: interface, record) }

  func validate() throws { try Location.validate(interface: interface) }
}

/// Where the traces of interfaces are.
struct Location: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the program and its maps are pinned: a directory of its own on bpffs. (default: "
        + "/sys/fs/bpf/sluice-backend-IF)", valueName: "dir"))
  var pinDir: String?

  @Option(
    help: ArgumentHelp(
      "Where is written what `down` has to undo: the same directory for all interfaces of a host.",
      valueName: "dir"))
  var runDir = "/run/sluice-backend"

  func record(of interface: String) -> String { "\(runDir)/\(interface).json" }

  func pins(of interface: String, _ record: HostRecord?) -> String {
    pinDir ?? record?.pins ?? "/sys/fs/bpf/sluice-backend-\(interface)"
  }

  static func validate(interface: String) throws {
    // It becomes part of paths; these are also the kernel's own rules for names.
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
