// SPDX-License-Identifier: Apache-2.0
#if TLS
  internal import Glibc
  internal import LoadBalancing
  internal import NIOSSL

  /// Describes why TLS failed, for the operator.
  enum TLSFailure {
    /// - Parameters:
    /// - certificate: the server's certificate, if it was received.
    /// - name: the name that the certificate must be valid for.
    static func reason(of error: any Error, certificate: NIOSSLCertificate?, name: String) -> String {
      if let error = error as? NIOSSLExtraError, error == .failedToValidateHostname {
        return "name does not match: the certificate is not for \(name)"
      }
      switch error as? NIOSSLError {
      case .unableToValidateCertificate, .noCertificateToValidate:
        return "the server presented no certificate"
      case .handshakeFailed(.sslError(let stack)): return reason(of: stack, certificate: certificate)
      case .handshakeFailed(.zeroReturn), .handshakeFailed(.syscallError):
        return "connection closed during the TLS handshake"
      default: break
      }
      if case .sslError(let stack)? = error as? BoringSSLError {
        return reason(of: stack, certificate: certificate)
      }
      return "TLS failed: \(error)"
    }

    private static func reason(of stack: NIOBoringSSLErrorStack, certificate: NIOSSLCertificate?) -> String {
      if stack.contains(.eofDuringHandshake) { return "connection closed during the TLS handshake" }
      guard let code = stack.first.map(code) else { return "TLS failed" }
      if code == "CERTIFICATE_VERIFY_FAILED" { return fault(of: certificate) }
      return sentences[code] ?? "TLS failed: \(words(of: code))"
    }

    /// BoringSSL reports only that the chain is invalid; the certificate shows the common causes.
    private static func fault(of certificate: NIOSSLCertificate?) -> String {
      let now = time(nil)
      if let certificate, certificate.notValidAfter < now {
        return "certificate has expired, on \(day(certificate.notValidAfter))"
      }
      if let certificate, certificate.notValidBefore > now {
        return "certificate is not valid before \(day(certificate.notValidBefore))"
      }
      return "unknown authority: no chain from the certificate to a trusted one is valid"
    }

    private static func day(_ instant: time_t) -> String {
      var instant = instant
      var parts = tm()
      guard unsafe gmtime_r(&instant, &parts) != nil else { return "an unknown day" }
      let twoDigits = { (number: Int32) in number < 10 ? "0\(number)" : "\(number)" }
      return "\(parts.tm_year + 1900)-\(twoDigits(parts.tm_mon + 1))-\(twoDigits(parts.tm_mday))"
    }

    /// The name of an error as BoringSSL's text has it, such as `WRONG_VERSION_NUMBER` in
    /// `error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER at FILE:LINE`.
    private static func code(of error: BoringSSLInternalError) -> String {
      let fields = error.description.split(separator: ":")
      guard let library = fields.firstIndex(of: "OPENSSL_internal"), library + 1 < fields.count else {
        return error.description
      }
      return String(fields[library + 1].prefix { $0 != " " })
    }

    private static func words(of code: String) -> String {
      for prefix in ["TLSV1_ALERT_", "SSLV3_ALERT_", "TLSV1_"] where code.hasPrefix(prefix) {
        return "the server's alert says: \(plain(code.dropFirst(prefix.count)))"
      }
      return plain(code[...])
    }

    private static func plain(_ code: Substring) -> String {
      code.lowercased().split(separator: "_").joined(separator: " ")
    }

    private static let sentences = [
      "WRONG_VERSION_NUMBER": "not TLS: what the server sends is no record of it",
      "UNSUPPORTED_PROTOCOL": "the server speaks no TLS from 1.2 on",
      "TLSV1_ALERT_PROTOCOL_VERSION": "the server speaks no TLS from 1.2 on",
      "NO_RENEGOTIATION": "the server wants to renegotiate",
      "TLSV1_ALERT_UNRECOGNIZED_NAME": "the server does not know the name",
      "SSLV3_ALERT_HANDSHAKE_FAILURE":
        "the server's alert says: handshake failure (no cipher in common, or no certificate)",
      "TLSV1_ALERT_CERTIFICATE_REQUIRED": "the server wants a client's certificate",
    ]
  }
#endif
