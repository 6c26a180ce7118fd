// SPDX-License-Identifier: Apache-2.0
internal import CErrorNames

/// An error number of the system as messages show it: `No such file or directory (ENOENT)`.
///
/// - Parameter number: as in errno(3), positive.
public func describe(errorNumber number: Int32) -> String {
  let words = unsafe strerrordesc_np(number).map { unsafe String(cString: $0) } ?? "unknown error"
  let name = unsafe strerrorname_np(number).map { unsafe String(cString: $0) } ?? String(number)
  return "\(words) (\(name))"
}
