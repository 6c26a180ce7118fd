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

  /// A request's body may have as many bytes.
  var maxUploadSize: Int { 1 << 20 }

  /// The peer as the kernel knows it (SO_PEERCRED), for the record; access is decided by the socket's mode.
  func requester() async -> Requester {
    guard let provider = channel as? any SocketOptionProvider,
      let peer: PeerCredentials = try? await provider.unsafeGetSocketOption(
        level: .init(rawValue: SOL_SOCKET), name: .init(rawValue: SO_PEERCRED)
      ).get()
    else { return Requester(identity: "unknown") }
    return Requester(identity: "uid \(peer.uid), pid \(peer.pid)")
  }
}

/// `struct ucred` of the kernel, which glibc hides without _GNU_SOURCE.
private struct PeerCredentials {
  var pid: Int32
  var uid: UInt32
  var gid: UInt32
}
