// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// What to read of the kernel's network configuration for one uplink.
struct NetworkQuery: Hashable, Sendable {
  /// The interface as it was last seen, whatever it is called now; nil: it was not there.
  var interfaceIndex: UInt32?
  /// The configured interface; read where there is none of ``interfaceIndex``.
  var interfaceName: String
  /// Backends whose paths are to be read.
  var addresses: Set<IPAddress>
  /// VIPs that backends of another family are probed at: a router towards them is looked for.
  var vips: [IPAddress] = []
}

/// What was read for a query.
struct NetworkView: Equatable, Sendable {
  /// nil: there is no such interface.
  var link: Link?
  /// The path to each address of the query; empty without an interface.
  var paths: [IPAddress: BackendPath] = [:]
  /// Addresses of the interface that hosts beyond it can answer to, the first of each family.
  var sources: [AddressFamily: IPAddress] = [:]
  /// A router of each family of the query's VIPs.
  var gateways: [AddressFamily: IPAddress] = [:]
  /// The interface on which the programs of probes are in force; nil: none.
  var probeHookIndex: UInt32?
  /// Why paths and sources could not be read; nil: they were.
  var pathTrouble: String?
}

/// How packets reach one backend over an uplink.
struct BackendPath: Equatable, Sendable {
  /// The next hop: a router, or the backend itself.
  var via: IPAddress?
  /// What the data plane is given.
  var state: NextHopState
  /// Why packets cannot be sent, or may soon not be; nil: they can.
  var trouble: String?
  /// Whether the only route was learned from a router advertisement.
  var isAdvertised = false
  /// Whether the kernel has a link-layer address of the next hop.
  var isResolved = false
}
