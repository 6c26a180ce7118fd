// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// The control API's paths. GET never changes anything.
struct ControlRoutes {
  let reconciler: Reconciler

  /// What both sockets answer.
  func addReading(to router: Router<ControlContext>) {
    router.add(middleware: ErrorReplies())
    router.get("/") { _, _ in try json(["versions": ["1.0"]]) }
    router.get("/v1") { _, _ in
      try json([
        "resources": [
          "/v1/status", "/v1/services", "/v1/pools", "/v1/backends", "/v1/pools/{pool}/backends/{backend}",
          "/v1/config", "/v1/config/diff", "/v1/config/reload", "/v1/detach", "/metrics",
        ]
      ])
    }
    router.get("/v1/status") { _, _ in try json(try await reconciler.status()) }
    router.get("/v1/services") { _, _ in try json(try await reconciler.services()) }
    router.get("/v1/services/{name}") { _, context in
      try json(try await reconciler.services(named: try context.parameter("name")))
    }
    router.get("/v1/pools") { _, _ in try json(await reconciler.pools()) }
    router.get("/v1/backends") { _, _ in try json(try await reconciler.backends()) }
    router.get("/v1/pools/{pool}/backends") { _, context in
      try json(try await reconciler.backends(of: try context.parameter("pool")))
    }
    router.get("/v1/pools/{pool}/backends/{name}") { _, context in
      try json(
        try await reconciler.backend(try context.parameter("name"), in: try context.parameter("pool")))
    }
    router.get("/v1/config") { _, _ in
      text(await reconciler.effectiveConfiguration(), type: "application/yaml")
    }
    router.get("/v1/config/diff") { _, _ in try json(try await reconciler.diffConfiguration()) }
    router.get("/metrics") { _, _ in
      text(try await reconciler.metrics(), type: "text/plain; version=0.0.4; charset=utf-8")
    }
  }

  /// What only the control socket answers.
  func addChanging(to router: Router<ControlContext>) {
    router.post("/v1/pools/{pool}/backends/{name}") { request, context in
      let addition = try await decode(
        BackendAddition.self, request, context, allowed: ["address", "weight", "state", "reason"])
      return try json(
        try await reconciler.add(
          try context.parameter("name"), to: try context.parameter("pool"), addition,
          by: await context.requester(), dryRun: try request.flag("dry_run")))
    }
    router.patch("/v1/pools/{pool}/backends/{name}") { request, context in
      let change = try await decode(
        BackendChange.self, request, context, allowed: ["weight", "state", "reason"])
      return try json(
        try await reconciler.change(
          try context.parameter("name"), in: try context.parameter("pool"), change,
          by: await context.requester(), dryRun: try request.flag("dry_run")))
    }
    router.delete("/v1/pools/{pool}/backends/{name}") { request, context in
      try json(
        try await reconciler.remove(
          try context.parameter("name"), from: try context.parameter("pool"),
          force: try request.flag("force"),
          reason: request.uri.queryParameters["reason"].map { String($0) }, by: await context.requester(),
          dryRun: try request.flag("dry_run")))
    }
    router.post("/v1/config/reload") { request, _ in
      if try request.flag("dry_run") {
        let diff = try await reconciler.diffConfiguration()
        return try json(
          ChangeReply(generation: await reconciler.generation, dryRun: true, effect: diff.reload))
      }
      return try json(try await reconciler.reloadConfiguration())
    }
    router.post("/v1/detach") { request, _ in
      if try !request.flag("dry_run") { try await reconciler.detachForwarder() }
      return try json([String: String]())
    }
  }

  // MARK: Bodies

  private func json(_ value: some Encodable) throws -> Response {
    let bytes = try ControlJSON.encode(value) + [0x0a]
    return Response(
      status: .ok, headers: [.contentType: "application/json"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }

  private func text(_ text: String, type: String) -> Response {
    Response(
      status: .ok, headers: [.contentType: type], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }

  /// Decodes a request's body strictly: a key that is not known is refused, not ignored.
  private func decode<Value: Decodable>(
    _ type: Value.Type, _ request: Request, _ context: ControlContext, allowed: [String]
  ) async throws -> Value {
    var request = request
    let bytes = Array(buffer: try await request.collectBody(upTo: context.maxUploadSize))
    guard let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else {
      throw ControlError.invalid("the body is not a JSON object")
    }
    if let unknown = object.keys.sorted().first(where: { !allowed.contains($0) }) {
      let error = ControlError.notFound("field", unknown, among: allowed)
      throw ControlError.invalid(error.body.message, suggestion: error.body.suggestion)
    }
    do {
      return try ControlJSON.decode(type, from: bytes)
    } catch {
      throw ControlError.invalid("the body does not fit: \(error)")
    }
  }
}

extension ControlContext {
  func parameter(_ name: String) throws -> String {
    let text = try parameters.require(name)
    return text.removingPercentEncoding ?? text
  }
}

extension Request {
  /// A query parameter that is 1 or absent.
  func flag(_ name: String) throws -> Bool {
    switch uri.queryParameters[name[...]] {
    case nil, "0": return false
    case "1": return true
    case let other?: throw ControlError.invalid("\(name)=\(other) is neither 0 nor 1")
    }
  }
}

/// Gives every error the one body that the API documents.
private struct ErrorReplies: RouterMiddleware {
  @concurrent func handle(
    _ request: Request, context: ControlContext,
    next: @concurrent (Request, ControlContext) async throws -> Response
  ) async throws -> Response {
    do {
      return try await next(request, context)
    } catch let error as ControlError {
      return try reply(error.status, error.body)
    } catch let error as any HTTPResponseError {
      let path = request.uri.path
      let message =
        error.status == .notFound ? "no such path: \(path); GET /v1 lists what there is" : "\(error.status)"
      return try reply(error.status, ErrorReply.Body(code: "http-\(error.status.code)", message: message))
    } catch {
      return try reply(.internalServerError, ErrorReply.Body(code: "failed", message: "\(error)"))
    }
  }

  private func reply(_ status: HTTPResponse.Status, _ body: ErrorReply.Body) throws -> Response {
    Response(
      status: status, headers: [.contentType: "application/json"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: try ControlJSON.encode(ErrorReply(body)) + [0x0a])))
  }
}
