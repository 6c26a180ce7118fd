// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import HTTPTypes
internal import Hummingbird
internal import LoadBalancing
internal import NIOCore
internal import NIOHTTP1

/// Finds the route of a request, and gives every error the one body that the API documents.
struct ControlResponder: HTTPResponder {
  let routes: [Route]
  let counts: RequestCounts

  /// Octets of the longest path that a correction is suggested for: two names, and the words around them.
  private static let longestCorrectedPath = 192

  @concurrent func respond(to request: Request, context: ControlContext) async throws -> Response {
    let begun = ContinuousClock.now
    do {
      let response = try await withTaskExecutorPreference(RequestThreads.shared) {
        try await answer(request, context)
      }
      count(request, response.status, since: begun)
      return response
    } catch {
      // What is no HTTP: the server answers it, and closes the connection.
      count(request, .badRequest, since: begun)
      throw error
    }
  }

  private func count(_ request: Request, _ status: HTTPResponse.Status, since begun: ContinuousClock.Instant)
  {
    let path = request.uri.path
    counts.note(
      route: routes.first { $0.parameters(in: path) != nil }, method: request.method, status: status,
      duration: begun.duration(to: .now))
  }

  private func answer(_ request: Request, _ context: ControlContext) async throws -> Response {
    do {
      let (route, parameters) = try route(of: request)
      let query = try Query(request.uri.query, allowed: route.query, lists: route.lists)
      let response = try await route.handler(
        request, RouteContext(control: context, parameters: parameters, query: query))
      return request.method == .head ? response.createHeadResponse() : response
    } catch let error as ControlError {
      return try reply(error, to: request)
    } catch let error as HTTPParserError {
      // The server answers it, and closes the connection.
      throw error
    } catch {
      return try reply(ControlError(.internalServerError, "failed", "\(error)"), to: request)
    }
  }

  /// How long the answer to a request may take, where that is not as long as others.
  func patience(for request: HTTPRequest) -> TimeAmount? {
    let path = String((request.path ?? "").prefix { $0 != "?" })
    return routes.first { $0.method == request.method && $0.parameters(in: path) != nil }?.patience
  }

  private func route(of request: Request) throws(ControlError) -> (Route, [String: String]) {
    let path = request.uri.path
    let candidates = routes.compactMap { route in route.parameters(in: path).map { (route, $0) } }
    guard !candidates.isEmpty else {
      let near = nearestMatch(
        to: path, among: Set(routes.map { $0.path(like: path) }).sorted(), longest: Self.longestCorrectedPath)
      let hint = near.map { "; did you mean \($0)?" } ?? "; GET /v1 lists what there is"
      throw ControlError(
        .notFound, "path-not-found", "no such path: \(path.prefix(128))\(hint)", suggestion: near)
    }
    let method = request.method == .head ? .get : request.method
    if let match = candidates.first(where: { $0.0.method == method }) {
      for (name, value) in match.1 {
        if let fault = plainTextFault(value) {
          throw ControlError.invalid("the name of the \(name) \(fault)")
        }
      }
      return match
    }
    let allowed = candidates.map(\.0.method.rawValue).sorted().joined(separator: ", ")
    var error = ControlError(
      .methodNotAllowed, "method-not-allowed",
      "\(request.method.rawValue.prefix(16)) is not possible on \(path.prefix(128)); possible: \(allowed)"
    )
    error.headers[.allow] = allowed
    throw error
  }

  private func reply(_ error: ControlError, to request: Request) throws -> Response {
    var body = error.body
    body.path = String(request.uri.path.prefix(128))
    var headers = error.headers
    headers[.contentType] = "application/json"
    return Response(
      status: error.status, headers: headers,
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: try ControlJSON.encode(ErrorReply(body)) + [0x0a])))
  }
}
