import Foundation
import PackagePlugin

/// Compiles the BPF programs a target carries, with the Swift toolchain's own clang, and embeds each object
/// into the target as a Swift source, so that an installed binary needs no file beside it.
@main
struct CompileBPF: BuildToolPlugin {
  /// Which programs of `bpf/` travel in which target.
  private static let programs = [
    "Dataplane": ["forwarder"],
    "sluice-backend": ["decapsulate"],
    "sluice-bench": ["bench"],
  ]

  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let clang = try context.tool(named: "clang").url
    let bpf = context.package.directoryURL.appending(path: "bpf")
    let headers = try self.headers(under: bpf)
    return Self.programs[target.name, default: []].map { program in
      let source = bpf.appending(path: "\(program).bpf.c")
      let object = context.pluginWorkDirectoryURL.appending(path: "\(program).bpf.o")
      let swift = context.pluginWorkDirectoryURL.appending(path: "EmbeddedObject+\(program).swift")
      return .buildCommand(
        displayName: "Compiling BPF program \(program)",
        executable: URL(filePath: "/bin/sh"),
        arguments: ["-c", Self.script, "compile-bpf", clang.path(), source.path(), object.path(), swift.path(), program],
        inputFiles: [source] + headers,
        outputFiles: [swift])
    }
  }

  /// Compile, then write the object as base64 into a Swift source. DWARF is left out of the embedded copy by
  /// the loader (it reads BTF only); it stays in the object for `llvm-objdump -S`.
  private static let script = """
    set -e
    "$1" -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
      -I"$(dirname "$2")/abi/include" -I"/usr/include/$(uname -m)-linux-gnu" -c "$2" -o "$3"
    {
      printf 'extension EmbeddedObject {\\n  static let %s = EmbeddedObject(name: "%s", base64: "' "$5" "$5"
      base64 -w0 "$3"
      printf '")\\n}\\n'
    } > "$4.new"
    mv "$4.new" "$4"
    """

  private func headers(under folder: URL) throws -> [URL] {
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.allObjects ?? []
    return files.compactMap { $0 as? URL }.filter { $0.pathExtension == "h" }
  }
}
