// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The service manager's notification socket, as sd_notify(3) describes it.
enum SystemdNotification {
  /// Reports that the start is complete. Does nothing where no service manager asked for it.
  static func ready() {
    guard let path = ProcessInfo.processInfo.environment["NOTIFY_SOCKET"] else { return }
    send("READY=1", to: path)
  }

  /// - Parameter path: a file, or an abstract name that begins with `@`.
  private static func send(_ message: String, to path: String) {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var name = Array(path.utf8)
    guard let first = name.first, name.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
    if first == UInt8(ascii: "@") { name[0] = 0 }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
    unsafe _ = withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe sendto(descriptor, message, message.utf8.count, Int32(MSG_NOSIGNAL), $0, length)
      }
    }
  }
}
