// SPDX-License-Identifier: Apache-2.0

/// Quotes what a server sent, or should have sent, in a message for the operator.
enum HTTPExcerpt {
  static let octetLimit = 40

  /// The first octets, in quotes, with a dot for each octet that is not printable ASCII.
  static func of(_ octets: some Collection<UInt8>) -> String {
    let shown = octets.prefix(octetLimit).map { octet in
      0x20...0x7e ~= octet ? Character(Unicode.Scalar(octet)) : "."
    }
    return "\"\(String(shown))\(octets.count > octetLimit ? "…" : "")\""
  }
}
