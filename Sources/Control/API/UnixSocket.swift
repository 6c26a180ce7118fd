// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The file of a Unix stream socket.
struct UnixSocket: Sendable {
  let path: String
  /// The group that may use it; nil: the daemon's own.
  let group: String?

  /// Before the bind: takes away what a daemon that is gone left, and nothing else. Joins the group, as far as this
  /// process may: its members can give a file of theirs to it without any capability.
  func prepare() throws(StartError) {
    if let group { Self.join(group) }
    let directory = (path as NSString).deletingLastPathComponent
    if !FileManager.default.fileExists(atPath: directory) {
      do {
        try FileManager.default.createDirectory(
          atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
      } catch {
        throw StartError("cannot create \(directory) for \(path): \(error)", cure: nil)
      }
    }
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw StartError(
        "\(path) is not a socket", cure: "remove it, or set control.socket or status.socket to another path")
    }
    guard !isAnswered else {
      throw StartError(
        "another daemon answers on \(path)", cure: "stop it, or give this one its own sockets, pins and state"
      )
    }
    unsafe _ = unlink(path)
  }

  private static func join(_ name: String) {
    guard let group = unsafe getgrnam(name)?.pointee.gr_gid else { return }
    var groups = [gid_t](repeating: 0, count: Int(max(getgroups(0, nil), 0)))
    unsafe _ = getgroups(Int32(groups.count), &groups)
    guard !groups.contains(group) else { return }
    groups.append(group)
    unsafe _ = setgroups(groups.count, groups)
  }

  /// After the bind: opens it to the group.
  /// - Returns: a complaint, where the group does not exist or the daemon is not in it.
  func grantAccess() -> String? {
    var complaint: String?
    if let group {
      if let entry = unsafe getgrnam(group) {
        if unsafe chown(path, uid_t.max, entry.pointee.gr_gid) != 0 {
          complaint = "\(path) stays the daemon's own: it is not in group \(group), which the socket is for"
        }
      } else {
        complaint = "group \(group) does not exist; \(path) stays the daemon's own"
      }
    }
    unsafe _ = chmod(path, 0o660)
    return complaint
  }

  func remove() { unsafe _ = unlink(path) }

  /// Whether somebody listens; also somebody whose queue is full.
  private var isAnswered: Bool {
    let descriptor = socket(
      AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
      unsafe bytes.copyBytes(from: path.utf8.prefix(bytes.count - 1))
    }
    let result = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    return result == 0 || errno != ECONNREFUSED
  }
}
