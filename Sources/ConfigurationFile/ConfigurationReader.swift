// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Reads one configuration again and again. Drop-ins that did not change are read, but not parsed again, and their pools
/// share their storage with those of the configuration before, so that comparing them takes no time.
///
/// A report is the same as that of ``ConfigurationLoader/load(path:candidate:)``. ``KnownFiles`` bounds the memory.
public final class ConfigurationReader: Sendable {
  private let path: String
  /// What the last reading left. A reading takes it out, so that one that was left behind shares nothing with a later one.
  private let known = Mutex<Owned>(Owned())

  /// A document is written by the reading that has taken it out, and by no other.
  private struct Owned: @unchecked Sendable {
    var files: KnownFiles?
  }

  public init(path: String) { self.path = path }

  public func read() -> ConfigurationReport {
    // A file system that hangs keeps nothing from a later reading.
    let found = FoundFiles(path: path)
    var owned = known.withLock { known in
      defer { known.files = nil }
      return known
    }
    let report = ConfigurationLoader.parse(found, reusing: &owned.files)
    known.withLock { [owned] in $0 = owned }
    return report
  }

  /// Returns when the time is over, as ``ConfigurationLoader/load(path:candidate:within:reading:)`` does.
  public func read(within time: Duration) -> ConfigurationReport {
    ConfigurationLoader.load(path: path, within: time) { [self] _, _ in read() }
  }
}
