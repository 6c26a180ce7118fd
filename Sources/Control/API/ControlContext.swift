// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Hummingbird
internal import NIOCore

/// A request together with who sent it.
struct ControlContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    channel = source.channel
  }

  /// The peer as the kernel knows it (SO_PEERCRED), for the record; access is decided by the socket's mode.
  func requester() async -> Requester {
    guard let provider = channel as? any SocketOptionProvider,
      let peer: PeerCredentials = try? await provider.unsafeGetSocketOption(
        level: .init(rawValue: SOL_SOCKET), name: .init(rawValue: SO_PEERCRED)
      ).get()
    else { return Requester(identity: "unknown") }
    let name = userName(peer.uid) ?? "?"
    return Requester(identity: "\(name) (uid \(peer.uid), pid \(peer.pid))")
  }

  private func userName(_ user: uid_t) -> String? {
    var entry = unsafe passwd()
    var found: UnsafeMutablePointer<passwd>?
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
      guard unsafe getpwuid_r(user, &entry, buffer.baseAddress!, buffer.count, &found) == 0,
        unsafe found != nil
      else { return nil }
      return unsafe String(cString: entry.pw_name)
    }
  }
}

/// `struct ucred` of the kernel, which glibc hides without _GNU_SOURCE.
struct PeerCredentials {
  var pid: Int32 = 0
  var uid: UInt32 = 0
  var gid: UInt32 = 0
}
