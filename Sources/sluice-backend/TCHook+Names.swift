// SPDX-License-Identifier: Apache-2.0
internal import BPF

extension TCHook {
  /// Whether the program at a position has this name: so a program is found whose pin is gone. Takes `CAP_SYS_ADMIN`.
  func holds(programNamed name: String, at position: Position) throws(BPFError) -> Bool {
    guard let id = try programID(at: position) else { return false }
    return try BPFProgram.open(id: id).info.name == name
  }
}
