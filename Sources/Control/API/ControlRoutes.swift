// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import LoadBalancing
internal import NIOCore

/// The control API's paths. GET never changes anything.
struct ControlRoutes {
  let plane: any ControlPlane
  /// The longest silence on a stream of events.
  var heartbeat = Duration.seconds(15)

  /// All paths.
  var control: ControlResponder { responder(reading + changing) }
  /// Read-only paths.
  var status: ControlResponder { responder(reading) }
  /// The paths that TCP clients may use.
  var listener: ControlResponder {
    ControlResponder(routes: [statusRoute, metricsRoute], counts: plane.requests)
  }

  private func responder(_ routes: [Route]) -> ControlResponder {
    let paths = Set(routes.map(\.path)).union(["/v1"]).subtracting(["/"]).sorted()
    let index = Route(.get, "/v1") { _, _ in
      try await json(Index(resources: paths, apiExtensions: [], generation: plane.generation))
    }
    return ControlResponder(routes: routes + [index], counts: plane.requests)
  }

  private struct Index: Encodable {
    var resources: [String]
    var apiExtensions: [String]
    var generation: Int
  }

  private struct Root: Encodable {
    var versions = ["1.0"]
    var server = "sluiced"
    var serverVersion = Version.current
  }

  // MARK: Reading

  private var statusRoute: Route {
    Route(.get, "/v1/status") { _, _ in try await answer { try await plane.status() } }
  }

  private var metricsRoute: Route {
    Route(.get, "/metrics") { _, _ in
      text(try await plane.metrics(), type: "text/plain; version=0.0.4; charset=utf-8")
    }
  }

  private var reading: [Route] {
    [
      Route(.get, "/") { _, _ in try json(Root()) },
      Route(.get, "/v1/openapi.json") { _, _ in text(OpenAPI.document, type: "application/json") },
      statusRoute, metricsRoute,
      Route(.get, "/v1/services") { _, _ in try await answer { try await plane.services() } },
      Route(.get, "/v1/services/{service}") { _, context in
        try await answer { try await plane.services(named: context.parameters["service"] ?? "") }
      },
      Route(.get, "/v1/pools") { _, _ in try await answer { try await plane.pools() } },
      Route(.get, "/v1/backends") { _, _ in try await answer { try await plane.backends() } },
      Route(.get, "/v1/pools/{pool}/backends") { _, context in
        try await answer { try await plane.backends(of: context.pool) }
      },
      Route(.get, "/v1/pools/{pool}/backends/{backend}") { _, context in
        try await answer { try await plane.backend(context.backend, in: context.pool) }
      },
      Route(.get, "/v1/pools/{pool}/backends/{backend}/drain", query: ["quiet", "silent"]) { _, context in
        let quiet = try context.query.number("quiet")
        let silent = try context.query.number("silent")
        return try await answer {
          try await plane.drainStatus(of: context.backend, in: context.pool, quiet: quiet, silent: silent)
        }
      },
      Route(.get, "/v1/checks", query: ["pool", "backend"]) { _, context in
        let (pool, backend) = (context.query.text("pool"), context.query.text("backend"))
        return try await answer { try await plane.checkRows(of: backend, in: pool) }
      },
      Route(.get, "/v1/config") { _, _ in
        text(try await plane.effectiveConfiguration(), type: "application/yaml")
      },
      eventsRoute,
      Route(.get, "/v1/config/diff") { _, _ in try await answer { try await plane.diffConfiguration(nil) } },
    ]
  }

  // MARK: Changing

  private var changing: [Route] {
    let backend = "/v1/pools/{pool}/backends/{backend}"
    return [
      Route(.post, backend, query: ["dry_run", "require_saved"]) { request, context in
        try await add(request, context)
      },
      Route(.post, backend + "/check", query: ["target"], patience: TimeAmount(CheckReport.patience)) {
        request, context in
        try await request.expectNoBody()
        let target = context.query.text("target")
        return try await answer { try await plane.examine(context.backend, in: context.pool, target: target) }
      },
      Route(.patch, backend, query: ["dry_run", "force", "require_saved"]) { request, context in
        let wanted = try await request.decode(BackendChange.self, allowed: ["weight", "state", "reason"])
        return try await change(request, context, wanted)
      },
      Route(.delete, backend, query: ["dry_run", "force", "reason", "require_saved"]) { request, context in
        try await request.expectNoBody()
        let reason = context.query.text("reason")
        try check(reason: reason)
        return try await change(request, context) { requester, terms in
          try await plane.remove(
            context.backend, from: context.pool, reason: reason, by: requester, terms)
        }
      },
      stateRoute("drain", "drain", query: ["dry_run", "force", "require_saved"]),
      stateRoute("undrain", "ready"),
      stateRoute("maint", "maint", query: ["dry_run", "force", "require_saved"]),
      Route(.post, "/v1/config/check") { request, _ in
        let candidate = try await request.text()
        return try await answer { try await plane.checkConfiguration(candidate) }
      },
      Route(.post, "/v1/config/diff") { request, _ in
        let candidate = try await request.text()
        return try await answer { try await plane.diffConfiguration(candidate) }
      },
      Route(.post, "/v1/config/reload", query: ["dry_run", "force"]) { request, context in
        try await request.expectNoBody()
        return try await change(request, context) { requester, terms in
          try await plane.reloadConfiguration(by: requester, terms)
        }
      },
      Route(.post, "/v1/detach", query: ["dry_run"]) { request, context in
        try await request.expectNoBody()
        return try await change(request, context) { requester, terms in
          try await plane.detachForwarder(by: requester, terms)
        }
      },
      Route(.post, "/v1/attach", query: ["dry_run"]) { request, context in
        try await request.expectNoBody()
        return try await change(request, context) { requester, terms in
          try await plane.attachForwarder(by: requester, terms)
        }
      },
    ]
  }

  // Not optimized: Swift 6.3.1 crashes over it (splitting the coroutine).
  @_optimize(none)
  private func add(_ request: Request, _ context: RouteContext) async throws -> Response {
    let addition = try await request.decode(
      BackendAddition.self, allowed: ["address", "weight", "state", "reason"])
    try check(reason: addition.reason)
    return try await change(request, context) { requester, terms in
      try await plane.add(context.backend, to: context.pool, addition, by: requester, terms)
    }
  }

  private func stateRoute(_ verb: String, _ state: String, query: [String] = ["dry_run", "require_saved"])
    -> Route
  {
    Route(.post, "/v1/pools/{pool}/backends/{backend}/\(verb)", query: query) { request, context in
      let said = try await request.decode(BackendChange.self, allowed: ["reason"])
      return try await change(request, context, BackendChange(state: state, reason: said.reason))
    }
  }

  private func change(
    _ request: Request, _ context: RouteContext, _ wanted: BackendChange
  ) async throws -> Response {
    try check(reason: wanted.reason)
    return try await change(request, context) { requester, terms in
      try await plane.change(context.backend, in: context.pool, wanted, by: requester, terms)
    }
  }

  /// One change. It waits for its turn; `If-Match` is checked then.
  private func change(
    _ request: Request, _ context: RouteContext,
    _ body: @escaping @Sendable (Requester, ChangeTerms) async throws -> ChangeReply
  ) async throws -> Response {
    let terms = ChangeTerms(
      dryRun: try context.query.flag("dry_run"), force: try context.query.flag("force"),
      requiresSaved: try context.query.flag("require_saved"), expectedTag: try request.expectedTag())
    let requester = await context.control.requester()
    let reply = try await body(requester, terms)
    return try json(reply, generation: reply.generation)
  }

  // MARK: Bodies

  /// The ETag of a generation. Generations begin at 1 with each run of the daemon, so the tag contains the run.
  private func tag(of generation: Int) -> String { "\(plane.events.run)-\(generation)" }

  /// Answers with JSON and its ETag. The generation is read first, so that the tag may be too old but never too new.
  private func answer(_ value: () async throws -> some Encodable) async throws -> Response {
    let generation = await plane.generation
    return try json(try await value(), generation: generation)
  }

  private func json(_ value: some Encodable, generation: Int? = nil) throws -> Response {
    var headers: HTTPFields = [.contentType: "application/json"]
    if let generation { headers[.eTag] = "\"\(tag(of: generation))\"" }
    let octets = try ControlJSON.encode(value) + [0x0a]
    return Response(
      status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: octets)))
  }

  private func text(_ text: String, type: String) -> Response {
    Response(
      status: .ok, headers: [.contentType: type], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }

  private func check(reason: String?) throws(ControlError) {
    guard let reason else { return }
    guard reason.utf8.count <= BackendOverride.reasonLimit else {
      throw ControlError.invalid("reason has more than \(BackendOverride.reasonLimit) bytes")
    }
  }
}

extension Request {
  /// The tag of `If-Match`; nil if any state will do.
  fileprivate func expectedTag() throws(ControlError) -> String? {
    guard let field = headers[.ifMatch], field != "*" else { return nil }
    let isQuoted = field.count > 1 && field.hasPrefix("\"") && field.hasSuffix("\"")
    let tag = isQuoted ? field.dropFirst().dropLast() : field[...]
    let parts = tag.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, UInt64(parts[0], radix: 16) != nil, Int(parts[1]) != nil else {
      throw ControlError.invalid(
        "If-Match: \(field.prefix(64)) is no ETag of this API, such as \"1f4e8a90b7c3d265-7\"; "
          + "take it from the head of an answer")
    }
    return String(tag)
  }
}
