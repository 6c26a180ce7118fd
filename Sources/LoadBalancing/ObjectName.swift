// SPDX-License-Identifier: Apache-2.0

/// Whether services, pools and backends can be called so: 1 to 63 of a-z 0-9 - . _, the first a letter or digit.
public func isObjectName(_ text: some StringProtocol) -> Bool {
  func isAlphanumeric(_ octet: UInt8) -> Bool {
    (0x61...0x7a).contains(octet) || (0x30...0x39).contains(octet)
  }
  guard (1...63).contains(text.utf8.count), let first = text.utf8.first else { return false }
  return isAlphanumeric(first)
    && text.utf8.allSatisfy { isAlphanumeric($0) || [0x2d, 0x2e, 0x5f].contains($0) }
}
