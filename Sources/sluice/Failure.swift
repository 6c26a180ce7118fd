// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import NIOCore

/// Why a request has no result.
enum Failure: Error {
  /// The daemon's answer, with its HTTP status.
  case refused(status: Int, ErrorReply.Body)
  case unreachable(socket: String, any Error)
  case timedOut(socket: String, seconds: Int)
  /// The connection ended before the answer did.
  case closed(socket: String)
  /// Something else than an answer of the control API came.
  case unintelligible(socket: String, any Error)

  var exitCode: Int32 {
    switch self {
    case .refused(let status, _): status == 422 ? 65 : 1
    case .unreachable(_, let error): Self.isDenied(error) ? 77 : 69
    case .timedOut: 75
    case .closed: 69
    case .unintelligible: 1
    }
  }

  /// Mistakes of a configuration, printed before the message as `config check` does.
  var diagnostics: [String] {
    guard case .refused(_, let body) = self else { return [] }
    return (body.diagnostics ?? []).map(\.rendered)
  }

  /// What the refused change would do, a line each.
  var effect: [String] {
    guard case .refused(_, let body) = self, let effect = body.effect else { return [] }
    return Rendering.effect(effect)
  }

  var message: String {
    switch self {
    case .refused(_, let body): body.message
    case .unreachable(let socket, let error): Self.reason(socket, error)
    case .timedOut(let socket, let seconds):
      "no answer from \(socket) within \(seconds) s; `sluice status` shows whether a change was made"
    case .closed(let socket): "\(socket): the daemon closed the connection without an answer; see its log"
    case .unintelligible(let socket, let error):
      "\(socket): the answer is not the control API's: \(error)"
    }
  }

  private static func isDenied(_ error: any Error) -> Bool {
    let code = (error as? IOError)?.errnoCode
    return code == EACCES || code == EPERM
  }

  private static func reason(_ socket: String, _ error: any Error) -> String {
    if isDenied(error) { return denial(socket) }
    switch (error as? IOError)?.errnoCode {
    case ENOENT:
      return """
        no daemon at \(socket): start sluiced (systemctl start sluiced), \
        or name its socket with --socket or SLUICE_SOCKET
        """
    case ECONNREFUSED:
      return """
        no process listens on \(socket): sluiced is not running; forwarding continues with the installed tables. \
        Start it: systemctl start sluiced
        """
    case EAGAIN: return "\(socket): too many requests wait there already; try again"
    default:
      if case SocketAddressError.unixDomainSocketPathTooLong = error {
        return "\(socket): the path of a socket has at most 107 bytes; name another with --socket"
      }
      return "cannot connect to \(socket): \(error)"
    }
  }

  /// Names the group that has access; where the socket's directory is closed, that one's.
  private static func denial(_ socket: String) -> String {
    let directory = (socket as NSString).deletingLastPathComponent
    let attributes = [socket, directory].lazy.compactMap {
      try? FileManager.default.attributesOfItem(atPath: $0)
    }.first
    guard let group = attributes?[.groupOwnerAccountName] as? String, group != "root" else {
      return "not permitted to use \(socket): only root is; use sudo"
    }
    return """
      not permitted to use \(socket): root and the group "\(group)" are; \
      use sudo, or join it and log in again: usermod -aG \(group) USER
      """
  }
}
