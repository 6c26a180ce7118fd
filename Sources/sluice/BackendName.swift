// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// `POOL/BACKEND`
struct BackendName: Hashable, CustomStringConvertible {
  let pool: String
  let backend: String

  init(_ argument: String) throws {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
      throw ValidationError("\"\(argument)\" is not POOL/BACKEND, such as web/web2; see: sluice backend list")
    }
    pool = String(parts[0])
    backend = String(parts[1])
  }

  var path: String { "/v1/pools/\(escaped(pool))/backends/\(escaped(backend))" }
  var description: String { "\(pool)/\(backend)" }
}
