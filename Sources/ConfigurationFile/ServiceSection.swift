// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// Ports that one range may cover: each becomes a virtual service of its own.
private let maximumPortsInRange = 256

/// - Returns: nil where no more than the name could be read, so that a list of mistakes takes no memory.
func readService(_ cursor: Cursor) -> ServiceDraft? {
  var draft = ServiceDraft(cursor: cursor)
  guard let fields = cursor.fields() else { return nil }
  draft.name = fields.required("name").flatMap { Located($0.name(), $0) }
  draft.vips = list(fields.required("vips")) { $0.unicastAddress() }
  draft.ports = list(fields.required("ports"), readPorts)
  draft.pool = fields.required("pool").flatMap { Located($0.text(), $0) }
  fields["affinity"].map { draft.affinity = readAffinity($0) }
  let isEmpty = draft.pool == nil && draft.vips.isEmpty && draft.ports.isEmpty
  return isEmpty ? nil : draft
}

private func list<Item>(_ cursor: Cursor?, _ read: (Cursor) -> Item?) -> [Located<Item>] {
  guard let cursor, let items = cursor.items() else { return [] }
  if items.isEmpty { cursor.error(.emptyList, "the list is empty") }
  return items.values { Located(read($0), $0) }
}

/// `N/tcp`, `A-B/udp` or `any/tcp`.
private func readPorts(_ cursor: Cursor) -> PortRange? {
  guard let text = cursor.text() else { return nil }
  let expected = ["PORT/tcp", "PORT/udp", "FIRST-LAST/tcp", "any/tcp"]
  let parts = text.split(separator: "/", omittingEmptySubsequences: false)
  guard let transport = parts.last.flatMap({ TransportProtocol(name: String($0)) }), parts.count == 2 else {
    let isPortAlone = decimalPort(text) != nil
    cursor.error(
      .invalidPort, "port \"\(text)\" \(isPortAlone ? "lacks its protocol" : "is not a port and a protocol")",
      expected: expected, suggestion: isPortAlone ? "\(text)/tcp" : nil)
    return nil
  }
  if parts[0] == "any" { return PortRange(transport: transport, ports: 0...0) }
  let bounds = parts[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(decimalPort)
  guard let first = bounds[0], let last = bounds.count == 2 ? bounds[1] : first else {
    cursor.error(
      .invalidPort, "port \"\(text)\" is not a number from 1 to 65535", expected: expected,
      suggestion: parts[0] == "0" || parts[0] == "*" ? "any/\(transport.name)" : nil)
    return nil
  }
  guard first <= last, last - first < maximumPortsInRange else {
    let any = "any/\(transport.name)"
    let why =
      first > last
      ? "ends before it starts"
      : "is too wide: each of its ports is a virtual service; \(any) is one for all ports"
    cursor.error(
      .invalidPort, "port range \(text) \(why)",
      expected: ["up to \(maximumPortsInRange) ports, the lower one first", any],
      suggestion: first > last ? "\(last)-\(first)/\(transport.name)" : any)
    return nil
  }
  return PortRange(transport: transport, ports: first...last)
}
