// SPDX-License-Identifier: Apache-2.0

/// What a server sent, or was to send, within a sentence for the operator.
enum HTTPExcerpt {
  static let octetLimit = 40

  /// The first octets, quoted; what is not printable ASCII stands as a point.
  static func of(_ octets: some Collection<UInt8>) -> String {
    let shown = octets.prefix(octetLimit).map { octet in
      0x20...0x7e ~= octet ? Character(Unicode.Scalar(octet)) : "."
    }
    return "\"\(String(shown))\(octets.count > octetLimit ? "…" : "")\""
  }
}
