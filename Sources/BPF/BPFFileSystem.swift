// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF

/// Whether `path` lies on a bpffs, where pins can be made.
public func isOnBPFFileSystem(_ path: String) -> Bool {
  var status = statfs()
  return unsafe statfs(path, &status) == 0 && Int(status.f_type) == 0xcafe_4a11
}
