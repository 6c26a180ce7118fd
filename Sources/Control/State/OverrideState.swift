// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// The changes that operators made at run time, and whether they are saved.
struct OverrideState: Equatable, Sendable {
  var inForce: [BackendOverride] = []
  /// Why the overrides in force are not saved; nil: they are.
  var unsaved: String?
  /// Files with overrides that could not be read. An operator has to decide about them.
  var setAside: [String] = []
  /// Why this start set them aside.
  var setAsideReason: String?
}
