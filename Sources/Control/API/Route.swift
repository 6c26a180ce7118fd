// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// One method on one path of the control API.
struct Route: Sendable {
  typealias Handler = @Sendable (Request, RouteContext) async throws -> Response

  let method: HTTPRequest.Method
  /// Such as `/v1/pools/{pool}/backends/{backend}`.
  let path: String
  /// The query parameters it knows; others are refused.
  let query: [String]
  /// Those of them that may be said more than once.
  let lists: Set<String>
  /// How long its answer may take; nil: as long as others.
  let patience: TimeAmount?
  let handler: Handler

  init(
    _ method: HTTPRequest.Method, _ path: String, query: [String] = [], lists: Set<String> = [],
    patience: TimeAmount? = nil, _ handler: @escaping Handler
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.lists = lists
    self.patience = patience
    self.handler = handler
  }

  /// What the path's `{…}` stand for in `requested`; nil where the path is another one.
  func parameters(in requested: String) -> [String: String]? {
    let pattern = path.split(separator: "/")
    let parts = requested.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    let isRoot = pattern.isEmpty && parts.allSatisfy(\.isEmpty)
    guard isRoot || pattern.count == parts.count else { return nil }
    var parameters: [String: String] = [:]
    for (name, part) in zip(pattern, parts) {
      if name.hasPrefix("{") {
        guard let value = String(part).removingPercentEncoding, !value.isEmpty else { return nil }
        parameters[String(name.dropFirst().dropLast())] = value
      } else if name != part {
        return nil
      }
    }
    return parameters
  }

  /// The path with the names of `requested` in place of its `{…}`, as far as that one has as many parts.
  func path(like requested: String) -> String {
    let pattern = path.split(separator: "/")
    let parts = requested.split(separator: "/")
    guard pattern.count == parts.count else { return path }
    return zip(pattern, parts).map { "/" + ($0.hasPrefix("{") ? $1 : $0) }.joined()
  }
}

/// A request's surroundings: who sent it, and what its path and query say.
struct RouteContext: Sendable {
  let control: ControlContext
  let parameters: [String: String]
  let query: Query

  var pool: String { parameters["pool"] ?? "" }
  var backend: String { parameters["backend"] ?? "" }
}
