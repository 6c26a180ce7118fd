// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Synchronization

/// The file of a Unix stream socket.
///
/// The socket is bound under a name of its own and renamed to ``path`` when it is ready. So no client sees it without its
/// group and mode, and its inode is known: at its end the daemon removes the file only if it still is its own.
final class UnixSocket: Sendable {
  let path: String
  /// The group that may use it; nil: the daemon's own.
  let group: String?
  /// Where it is bound.
  let temporaryPath: String
  private let published = Mutex<Identity?>(nil)

  private struct Identity: Equatable {
    var device: dev_t
    var inode: ino_t

    /// What is at a path, itself and not what a link leads to.
    init?(at path: String) {
      var status = stat()
      guard unsafe lstat(path, &status) == 0 else { return nil }
      (device, inode) = (status.st_dev, status.st_ino)
    }
  }

  private static let count = Atomic(0)

  init(path: String, group: String?) {
    self.path = path
    self.group = group
    let number = Self.count.add(1, ordering: .relaxed).newValue
    // Short: a socket's path has at most 107 octets.
    let name = ".\(String(getpid(), radix: 36))\(String(number, radix: 36))"
    temporaryPath = ((path as NSString).deletingLastPathComponent as NSString).appendingPathComponent(name)
  }

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
    // Of a process that had the same number and was killed before it published its socket.
    unsafe _ = unlink(temporaryPath)
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw StartError(
        "\(path) is not a socket", cure: "remove it, or set control.socket or status.socket to another path")
    }
    try refuseIfAnswered()
    unsafe _ = unlink(path)
  }

  private func refuseIfAnswered() throws(StartError) {
    guard let listener = answering else { return }
    throw StartError(
      "another daemon answers on \(path): \(listener)",
      cure: "stop it, or give this one its own sockets, pins and state", isInUseElsewhere: true)
  }

  private static func join(_ name: String) {
    guard let group = unsafe getgrnam(name)?.pointee.gr_gid else { return }
    var groups = [gid_t](repeating: 0, count: Int(max(getgroups(0, nil), 0)))
    unsafe _ = getgroups(Int32(groups.count), &groups)
    guard !groups.contains(group) else { return }
    groups.append(group)
    unsafe _ = setgroups(groups.count, groups)
  }

  /// After the bind: opens it to the group, and gives it its path.
  /// - Returns: a complaint, where the group does not exist or the daemon is not in it.
  func publish() throws(StartError) -> String? {
    let complaint = grantAccess()
    try refuseIfAnswered()
    published.withLock { $0 = Identity(at: temporaryPath) }
    guard unsafe rename(temporaryPath, path) == 0 else {
      throw StartError("cannot create \(path): \(unsafe String(cString: strerror(errno)))", cure: nil)
    }
    return complaint
  }

  private func grantAccess() -> String? {
    var complaint: String?
    if let group {
      if let entry = unsafe getgrnam(group) {
        if unsafe chown(temporaryPath, uid_t.max, entry.pointee.gr_gid) != 0 {
          complaint = "\(path) stays the daemon's own: it is not in group \(group), which the socket is for"
        }
      } else {
        complaint = "group \(group) does not exist; \(path) stays the daemon's own"
      }
    }
    unsafe _ = chmod(temporaryPath, 0o660)
    return complaint
  }

  /// Removes the file, unless another daemon's is there by now.
  func remove() {
    // Is there still if it was bound and could not be published.
    unsafe _ = unlink(temporaryPath)
    guard let own = published.withLock({ $0 }), Identity(at: path) == own else { return }
    unsafe _ = unlink(path)
  }

  /// Who listens there; also who has a full queue. nil: none.
  private var answering: LockHolder? {
    let descriptor = socket(
      AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return LockHolder(process: nil) }
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
    guard result == 0 else {
      return errno == ECONNREFUSED || errno == ENOENT ? nil : LockHolder(process: nil)
    }
    var peer = PeerCredentials()
    var size = socklen_t(MemoryLayout<PeerCredentials>.size)
    let isKnown = unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0
    return LockHolder(process: isKnown && peer.pid > 0 ? peer.pid : nil)
  }
}
