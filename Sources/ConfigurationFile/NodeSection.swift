// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// The one interface that the forwarder is attached to.
func readInterfaces(_ fields: Fields) -> NodeSettings.Interface? {
  guard let cursor = fields.required("interfaces"), let items = cursor.items() else { return nil }
  guard let first = items.first else {
    cursor.error(.emptyList, "interfaces is empty: the forwarder needs one interface")
    return nil
  }
  for other in items.dropFirst() {
    other.error(
      .tooManyInterfaces, "more than one interface is not supported yet",
      related: (first, "the one in use is"))
  }
  guard let fields = first.fields() else { return nil }
  let name = fields.required("name").flatMap(readInterfaceName)
  let mode = fields["mode"]?.word(as: AttachMode.self)
  let nextHop = fields["next_hop"].flatMap(readNextHop)
  return name.map { NodeSettings.Interface(name: $0, mode: mode ?? .auto, nextHop: nextHop ?? .kernel) }
}

private func readInterfaceName(_ cursor: Cursor) -> String? {
  guard let text = cursor.text() else { return nil }
  guard (1...15).contains(text.utf8.count), ![".", ".."].contains(text),
    text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") })
  else {
    cursor.error(
      .invalidName, "\"\(text)\" cannot be the name of an interface",
      expected: ["1 to 15 printable characters without space, / and :"])
    return nil
  }
  return text
}

private func readNextHop(_ cursor: Cursor) -> NextHop? {
  guard let text = cursor.text() else { return nil }
  if text == "auto" { return .kernel }
  if let mac = HardwareAddress(text) {
    // Broadcast, multicast and all-zero addresses lead to no single host.
    guard !mac.isGroup, mac.bits != 0 else {
      cursor.error(.notUnicast, "next_hop \(text) is not the address of one host")
      return nil
    }
    return .fixed(mac: mac)
  }
  guard let address = IPAddress(text) else {
    cursor.error(
      .invalidAddress, "next_hop \"\(text)\" is not an address",
      expected: ["auto", "an IPv4 or IPv6 address", "a link-layer address (02:00:00:00:00:01)"],
      suggestion: cursor.findings.nearest(to: text, among: ["auto"]))
    return nil
  }
  guard address.isUnicast else {
    cursor.error(.notUnicast, "next_hop \(text) is not a unicast address")
    return nil
  }
  return .gateway(address)
}
