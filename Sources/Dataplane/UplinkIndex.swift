// SPDX-License-Identifier: Apache-2.0

/// An interface that the forwarder receives and sends on, by its index in the list of uplinks.
///
/// What belongs to one uplink is found by this index: the pin of its link, its record in the program, its attachment,
/// and the next hops that lead over it. There is one uplink for now.
public struct UplinkIndex: Hashable, Sendable {
  public let value: Int

  public static let first = UplinkIndex(value: 0)
  /// All uplinks that there are.
  public static let all = [first]

  /// The name of its link's pin in the pin directory.
  var pinName: String { value == 0 ? "link" : "link-\(value)" }
}
