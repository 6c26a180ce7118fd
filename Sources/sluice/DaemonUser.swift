// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import Foundation
internal import LoadBalancing

/// The user that the daemon runs as. Root can read files that this user cannot.
struct DaemonUser {
  let name: String
  let id: uid_t
  let group: gid_t

  /// The user of the units in `config/systemd`.
  private static let usual = "sluice"

  /// The owner of the control socket, or the user `sluice` if there is no socket.
  /// - Returns: nil: there is no such user, or it is root.
  init?(of configuration: Configuration) {
    var status = stat()
    let hasSocket = unsafe stat(configuration.node.controlSocket, &status) == 0
    let entry = unsafe hasSocket ? getpwuid(status.st_uid) : getpwnam(Self.usual)
    guard let entry = unsafe entry, unsafe entry.pointee.pw_uid != 0 else { return nil }
    name = unsafe String(cString: entry.pointee.pw_name)
    id = unsafe entry.pointee.pw_uid
    group = unsafe entry.pointee.pw_gid
  }

  /// What this user finds in a configuration and root does not, as warnings. Only root can ask.
  func findings(in path: String, besides report: ConfigurationReport) -> [Diagnostic] {
    let own = asUser { ConfigurationLoader.load(path: path) }
    let known = Set(report.diagnostics)
    return (own?.diagnostics ?? []).filter { !known.contains($0) }.map { finding in
      var warning = finding
      warning.severity = .warning
      warning.message = "for the daemon's user, \(name): \(finding.message)"
      return warning
    }
  }

  /// Does something with the rights of this user. nil: this process may not.
  private func asUser<Result>(_ body: () -> Result) -> Result? {
    var groups = [gid_t](repeating: 0, count: 65_536)
    let count = unsafe getgroups(Int32(groups.count), &groups)
    guard count >= 0, unsafe initgroups(name, group) == 0 else { return nil }
    defer { unsafe _ = setgroups(Int(count), groups) }
    let (ownGroup, ownUser) = (getegid(), geteuid())
    guard setegid(group) == 0 else { return nil }
    defer { _ = setegid(ownGroup) }
    guard seteuid(id) == 0 else { return nil }
    defer { _ = seteuid(ownUser) }
    return body()
  }
}
