// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// Reads configurations. Never throws, and never stops at the first mistake.
///
/// Time and memory grow in proportion to the text, whatever mistakes it has. Apart from reading files, all functions are
/// pure: they take and return `Sendable` values, and may run on any thread.
public enum ConfigurationLoader {
  /// Bytes that one file may have.
  public static let maximumFileSize = 1 << 20
  /// Files that `conf.d` may have.
  public static let maximumDropIns = 256

  /// Reads the main file, the drop-ins `conf.d/*.yaml` beside it in the order of their names, and the file of the
  /// hash seed if the main file names one.
  ///
  /// - Parameter candidate: a text to check in place of the main file; nil: the file itself.
  public static func load(path: String, candidate: String? = nil) -> ConfigurationReport {
    var files: [SourceFile] = []
    var unreadable: [(file: Int, code: Diagnostic.Code, message: String)] = []
    func add(_ path: String) {
      switch read(path) {
      case .success(let text): files.append(SourceFile(path: path, text: text))
      case .failure(let failure):
        unreadable.append((files.count, failure.code, failure.message))
        files.append(SourceFile(path: path, text: ""))
      }
    }
    if let candidate {
      files.append(SourceFile(path: "candidate", text: candidate))
    } else {
      add(path)
    }
    let directory = path.lastIndex(of: "/").map { path[...$0] + "conf.d" } ?? "conf.d"
    do throws(FileError) {
      let names = try directoryEntries(String(directory)).filter {
        $0.hasSuffix(".yaml") && !$0.hasPrefix(".")
      }
      for name in names.prefix(maximumDropIns) { add("\(directory)/\(name)") }
      if names.count > maximumDropIns {
        unreadable.append((0, .tooLarge, "\(directory) has more than \(maximumDropIns) files"))
      }
    } catch {
      unreadable.append((0, .unreadableFile, "cannot read \(directory): \(error)"))
    }
    return parse(files: files, unreadable: unreadable, seedFile: SeedFile.read)
  }

  /// Reads texts: the first is the main file, the others are drop-ins.
  ///
  /// - Parameters:
  ///   - build: what the daemon can do that is to use the configuration.
  ///   - seedFile: reads the file that `hash_seed_file` names.
  public static func parse(
    files: [SourceFile], build: BuildCapabilities = .thisBuild,
    seedFile: (String) throws -> SeedFile = SeedFile.read
  ) -> ConfigurationReport {
    parse(
      files: files.isEmpty ? [SourceFile(path: "", text: "")] : files, unreadable: [], build: build,
      seedFile: seedFile)
  }

  private static func parse(
    files: [SourceFile], unreadable: [(file: Int, code: Diagnostic.Code, message: String)],
    build: BuildCapabilities = .thisBuild, seedFile: (String) throws -> SeedFile
  ) -> ConfigurationReport {
    let texts = files.map {
      SourceText($0.text.utf8.count <= maximumFileSize ? $0 : SourceFile(path: $0.path, text: ""))
    }
    let findings = Findings(texts)
    var isComplete = unreadable.isEmpty
    for (file, code, message) in unreadable {
      findings.report(.error, code, at: SourceLocation(file: file, line: 1, column: 1), message)
    }
    var draft: Draft?
    for (file, text) in texts.enumerated() {
      if files[file].text.utf8.count > maximumFileSize {
        findings.report(
          .error, .tooLarge, at: SourceLocation(file: file, line: 1, column: 1),
          "the file is larger than \(maximumFileSize) bytes")
        isComplete = false
        continue
      }
      guard !unreadable.contains(where: { $0.file == file && text.octets.isEmpty }) else { continue }
      guard let document = readDocument(text, file: file, findings: findings) else {
        isComplete = false
        continue
      }
      let root = Cursor(root: document)
      if file == 0 {
        draft = Draft(main: root, seedFile: seedFile)
      } else {
        draft = draft ?? Draft(root: root)
        draft?.add(dropIn: root)
      }
    }
    draft?.build = build
    // While a file is missing, references to it would look wrong.
    if isComplete { draft?.check() }
    return ConfigurationReport(
      configuration: findings.errorCount == 0 ? draft?.assemble() : nil, diagnostics: findings.diagnostics,
      errorCount: findings.errorCount, warningCount: findings.warningCount, steps: findings.steps)
  }

  private struct ReadFailure: Error {
    let code: Diagnostic.Code
    let message: String
  }

  private static func read(_ path: String) -> Result<String, ReadFailure> {
    do throws(FileError) {
      let bytes = try readFile(path, limit: maximumFileSize).bytes
      guard bytes.count <= maximumFileSize else {
        return .failure(
          ReadFailure(code: .tooLarge, message: "the file is larger than \(maximumFileSize) bytes"))
      }
      guard let text = String(validating: bytes, as: UTF8.self) else {
        return .failure(ReadFailure(code: .notUTF8, message: "the file is not UTF-8 text"))
      }
      return .success(text)
    } catch {
      return .failure(ReadFailure(code: .unreadableFile, message: "cannot read the file: \(error)"))
    }
  }
}
