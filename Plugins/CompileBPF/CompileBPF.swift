// SPDX-License-Identifier: Apache-2.0
import Foundation
import PackagePlugin

/// Compiles the BPF programs a target carries, with the Swift toolchain's own clang, and embeds each object
/// into the target as a Swift source, so that an installed binary needs no file beside it.
///
/// `bpf/forwarder.bpf.c` becomes `EmbeddedObject.forwarder` inside the target.
@main
struct CompileBPF: BuildToolPlugin {
  /// Which programs of `bpf/` travel in which target.
  private static let programs = [
    "Dataplane": ["forwarder", "probe"],
    "sluice-backend": ["decapsulate_xdp", "decapsulate_tc", "clamp_mss"],
    "sluice-bench": ["bench", "stripped"],
    "BPFTests": ["tests/probe"],
    "DecapsulationTests": ["decapsulate_xdp", "decapsulate_tc", "clamp_mss"],
  ]

  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let clang = try context.tool(named: "clang").url
    let objcopy = try? context.tool(named: "llvm-objcopy").url
    let bpf = context.package.directoryURL.appending(path: "bpf")
    let headers = try self.headers(under: bpf)
    return Self.programs[target.name, default: []].map { program in
      let name = String(program.split(separator: "/").last!)
      let source = bpf.appending(path: "\(program).bpf.c")
      let object = context.pluginWorkDirectoryURL.appending(path: "\(name).bpf.o")
      let swift = context.pluginWorkDirectoryURL.appending(path: "EmbeddedObject+\(name).swift")
      return .buildCommand(
        displayName: "Compiling BPF program \(name)",
        executable: URL(filePath: "/bin/sh"),
        arguments: [
          "-c", Self.script, "compile-bpf", clang.path(), objcopy?.path() ?? "", bpf.path(), source.path(),
          object.path(), swift.path(), name,
        ],
        inputFiles: [source] + headers,
        outputFiles: [swift])
    }
  }

  /// Compile, then write the object as base64 into a Swift source. The object keeps its DWARF for
  /// `llvm-objdump -S`; the embedded copy, where the toolchain has a tool to strip it, keeps only BTF, the
  /// part that the loader reads, and is a third of the size.
  private static let script = #"""
    set -e
    clang=$1 objcopy=$2 bpf=$3 source=$4 object=$5 swift=$6 name=$7
    "$clang" -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
      -Wno-address-of-packed-member -I"$bpf/abi/include" -I"/usr/include/$(uname -m)-linux-gnu" \
      -c "$source" -o "$object"
    embedded=$object
    if [ -n "$objcopy" ]; then
      embedded=$object.embedded
      "$objcopy" --strip-debug "$object" "$embedded"
    fi
    {
      printf 'import BPF\n\nextension EmbeddedObject {\n  static let %s = EmbeddedObject(\n' "$name"
      printf '    name: "%s",\n    base64: "' "$name"
      base64 -w0 "$embedded"
      printf '")\n}\n'
    } > "$swift.new"
    mv "$swift.new" "$swift"
    """#

  private func headers(under folder: URL) throws -> [URL] {
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.allObjects ?? []
    return files.compactMap { $0 as? URL }.filter { $0.pathExtension == "h" }
  }
}
