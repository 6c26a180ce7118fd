// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import NIOCore
internal import NIOTLS

#if TLS
  internal import NIOSSL

  /// The parameters of TLS connections: authorities and versions. Shared by connections.
  typealias TLSContext = NIOSSLContext

  /// Encrypts one connection.
  typealias TLSHandler = NIOSSLClientHandler

  /// TLS for https probes: the only file, besides `TLSFailure`, that uses the TLS library.
  enum TLSClient {
    /// - Throws: with layer `local` if the authorities cannot be used.
    static func makeContext(_ tls: HTTPQuestion.TLS) throws(ProbeOutcome.Failure) -> TLSContext {
      var configuration = TLSConfiguration.makeClientConfiguration()
      configuration.minimumTLSVersion = .tlsv12
      configuration.renegotiationSupport = .none
      // NIOSSL keeps a connection in memory for this time after its end, waiting for the peer's close_notify.
      configuration.shutdownTimeout = .milliseconds(1)
      configuration.certificateVerification = tls.isVerified ? .fullVerification : .none
      do {
        if tls.isVerified, let path = tls.authorities {
          configuration.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(try HTTPContexts.contents(of: path)))
        }
        return try NIOSSLContext(configuration: configuration)
      } catch {
        let path = tls.authorities ?? "the system's files"
        throw ProbeOutcome.Failure(
          .local, "the authorities cannot be read: \(path) holds no certificates in PEM")
      }
    }

    /// A handler that encrypts a connection.
    /// - Parameter serverName: the name that the certificate must have; `nil`: the address of the server.
    /// - Throws: with layer `local` if `serverName` is not a valid name for TLS.
    static func makeHandler(
      _ context: TLSContext, serverName: String?
    ) throws(ProbeOutcome.Failure) -> TLSHandler {
      do {
        return try NIOSSLClientHandler(context: context, serverHostname: serverName)
      } catch {
        throw ProbeOutcome.Failure(.local, "\(HTTPExcerpt.of((serverName ?? "").utf8)) is no name for TLS")
      }
    }

    /// The version in use once the handshake is complete, such as "TLS 1.3".
    static func version(of handler: TLSHandler?) -> String {
      switch handler?.tlsVersion {
      case .tlsv13: "TLS 1.3"
      case .tlsv12: "TLS 1.2"
      default: "TLS"
      }
    }

    /// Whether the peer closed the connection without a close_notify.
    static func isUncleanShutdown(_ error: any Error) -> Bool {
      if case .uncleanShutdown? = error as? NIOSSLError { true } else { false }
    }

    /// Why TLS failed.
    /// - Parameter name: the name that the certificate must be valid for.
    static func reason(of error: any Error, _ handler: TLSHandler?, name: String) -> String {
      TLSFailure.reason(of: error, certificate: handler?.peerCertificate, name: name)
    }
  }
#else
  /// Has no value: this build, without the package trait `TLS`, makes no TLS connections.
  enum TLSContext {}

  /// A build without the package trait `TLS` refuses configurations with https checks, so nothing calls this.
  enum TLSClient {
    static func makeContext(_ tls: HTTPQuestion.TLS) throws(ProbeOutcome.Failure) -> TLSContext {
      throw ProbeOutcome.Failure(.local, "this build has no TLS: build with the default traits")
    }

    static func makeHandler(
      _ context: TLSContext, serverName: String?
    ) throws(ProbeOutcome.Failure) -> TLSHandler {
      switch context {}
    }

    static func version(of handler: TLSHandler?) -> String { "TLS" }
    static func isUncleanShutdown(_ error: any Error) -> Bool { false }
    static func reason(of error: any Error, _ handler: TLSHandler?, name: String) -> String {
      "TLS failed: \(error)"
    }
  }

  /// Never made.
  final class TLSHandler: ChannelHandler {
    private init() {}
  }
#endif
