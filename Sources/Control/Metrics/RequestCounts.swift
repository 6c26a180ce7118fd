// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import Synchronization

/// Requests to the control API, by what was asked and how it was answered. Any thread may use it.
///
/// Unknown paths and methods are counted as `other`, so that clients cannot create series.
final class RequestCounts: Sendable {
  struct Kind: Hashable, Comparable {
    /// The route's pattern, such as `/v1/pools/{pool}/backends`.
    var route: String
    var method: String

    static func < (left: Kind, right: Kind) -> Bool {
      (left.route, left.method) < (right.route, right.method)
    }
  }

  struct Series: Hashable, Comparable {
    var kind: Kind
    /// Such as `2xx`.
    var status: String

    static func < (left: Series, right: Series) -> Bool {
      (left.kind, left.status) < (right.kind, right.status)
    }
  }

  struct Counts {
    fileprivate(set) var requests: [Series: UInt64] = [:]
    fileprivate(set) var durations: [Kind: Histogram] = [:]
  }

  private static let methods: Set<HTTPRequest.Method> = [.get, .head, .post, .put, .patch, .delete]

  private let state = Mutex(Counts())

  var counts: Counts { state.withLock { $0 } }

  /// - Parameters:
  ///   - route: nil: there is no such path.
  ///   - duration: until the answer began; of a stream, what follows is not in it.
  func note(route: Route?, method: HTTPRequest.Method, status: HTTPResponse.Status, duration: Duration) {
    let kind = Kind(
      route: route?.path ?? "other", method: Self.methods.contains(method) ? method.rawValue : "other")
    state.withLock {
      $0.requests[Series(kind: kind, status: "\(status.code / 100)xx"), default: 0] += 1
      $0.durations[kind, default: Histogram()].add(duration)
    }
  }
}
