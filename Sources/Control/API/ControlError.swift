// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import HTTPTypes
internal import LoadBalancing

/// Why a request was not carried out. Nothing was changed.
struct ControlError: Error {
  var status: HTTPResponse.Status
  var body: ErrorReply.Body
  /// What else the answer says in its head, such as `Allow`.
  var headers: HTTPFields = [:]

  init(_ status: HTTPResponse.Status, _ code: String, _ message: String, suggestion: String? = nil) {
    self.status = status
    body = ErrorReply.Body(code: code, message: message, suggestion: suggestion)
  }

  static func invalid(_ message: String, suggestion: String? = nil) -> ControlError {
    ControlError(.badRequest, "invalid-request", message, suggestion: suggestion)
  }

  static func refused(_ code: String, _ message: String) -> ControlError {
    ControlError(.conflict, code, message)
  }

  static func generationChanged(is tag: String, expected: String) -> ControlError {
    ControlError(
      .preconditionFailed, "generation-changed",
      "the state is \(tag), not \(expected): somebody changed something, or the daemon was restarted; look again"
    )
  }

  /// - Parameter names: what there is; the nearest one is suggested.
  static func notFound(_ kind: String, _ name: String, among names: [String]) -> ControlError {
    let suggestion = nearestMatch(to: name, among: names)
    return ControlError(
      .notFound, "\(kind)-not-found", unknown(kind, name, among: names, suggestion), suggestion: suggestion)
  }

  /// A key of a body or a query that is not known there.
  static func unknownKey(_ kind: String, _ name: String, among names: [String]) -> ControlError {
    let suggestion = nearestMatch(to: name, among: names)
    return invalid(unknown(kind, name, among: names, suggestion), suggestion: suggestion)
  }

  private static func unknown(
    _ kind: String, _ name: String, among names: [String], _ suggestion: String?
  ) -> String {
    let hint = suggestion.map { "; did you mean \"\($0)\"?" } ?? ""
    let known =
      names.count <= 8 && !names.isEmpty ? " (there are: \(names.sorted().joined(separator: ", ")))" : ""
    return "\(kind) \"\(name.prefix(64))\" not found\(hint)\(known)"
  }
}
