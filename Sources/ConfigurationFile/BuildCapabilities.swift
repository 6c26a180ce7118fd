// SPDX-License-Identifier: Apache-2.0

/// What a build of Sluice may lack.
public struct BuildCapabilities: Sendable {
  /// Whether it makes TLS connections, as https probes need: the package trait `TLS`.
  public var hasTLS: Bool

  public init(hasTLS: Bool) { self.hasTLS = hasTLS }

  #if TLS
    public static let thisBuild = BuildCapabilities(hasTLS: true)
  #else
    public static let thisBuild = BuildCapabilities(hasTLS: false)
  #endif
}
