// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// The owner of libbpf's object. It is shared by `BPFObject` and the `LoadedObject` that it becomes, never by
/// two at a time: both are noncopyable, which makes passing it between threads safe.
final class ObjectHandle: @unchecked Sendable {
  let object: bpf_object
  let name: String

  /// Takes over `object`.
  init(_ object: bpf_object, name: String) {
    self.object = object
    self.name = name
  }

  deinit {
    bpf_object__close(object)
  }

  func map(_ name: String, _ operation: BPFError.Operation = .findMap) throws(BPFError) -> bpf_map {
    guard let map = unsafe bpf_object__find_map_by_name(object, name) else {
      throw BPFError(operation, name, errno: ENOENT, detail: "object '\(self.name)' has none of that name")
    }
    return map
  }

  func program(_ name: String) throws(BPFError) -> bpf_program {
    guard let program = unsafe bpf_object__find_program_by_name(object, name) else {
      throw BPFError(.findProgram, name, errno: ENOENT, detail: "object '\(self.name)' has none of that name")
    }
    return program
  }

  func forEachProgram(_ body: (bpf_program) -> Void) {
    var next = bpf_object__next_program(object, nil)
    while let program = next {
      body(program)
      next = bpf_object__next_program(object, program)
    }
  }
}
