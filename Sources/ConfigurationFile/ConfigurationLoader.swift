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
    var known: KnownFiles?
    return parse(FoundFiles(path: path, candidate: candidate), reusing: &known)
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
    var known: KnownFiles?
    return parse(FoundFiles(files), reusing: &known, build: build, seedFile: seedFile)
  }

  /// Reads what was found.
  ///
  /// - Parameter known: what an earlier reading left. Files that are the same are not parsed again; the report is the
  ///   same as without it. Replaced by what this reading leaves.
  static func parse(
    _ found: FoundFiles, reusing known: inout KnownFiles?, build: BuildCapabilities = .thisBuild,
    seedFile: (String) throws -> SeedFile = SeedFile.read
  ) -> ConfigurationReport {
    var found = found
    let reused = known?.reusable(in: found) ?? [:]
    found.refuseOtherThanText(except: reused.keys)
    let texts = found.files.enumerated().map { index, file in
      reused[index]?.text
        ?? SourceText(path: file.path, octets: file.octets.count <= maximumFileSize ? file.octets : [])
    }
    let findings = Findings(texts)
    var isComplete = found.unreadable.isEmpty
    for (file, code, message) in found.unreadable {
      findings.report(.error, code, at: SourceLocation(file: file, line: 1, column: 1), message)
    }
    var draft: Draft?
    var next = KnownFiles(main: found.files[0].octets)
    for (file, text) in texts.enumerated() {
      if found.files[file].octets.count > maximumFileSize {
        findings.report(
          .error, .tooLarge, at: SourceLocation(file: file, line: 1, column: 1),
          "the file is larger than \(maximumFileSize) bytes")
        isComplete = false
        continue
      }
      guard !found.unreadable.contains(where: { $0.file == file && text.octets.isEmpty }) else { continue }
      if let same = reused[file], draft?.hasRoom(for: same) ?? false {
        same.document.belong(to: file, findings)
        next.append(same, at: file, firstPool: draft?.pools.count ?? 0)
        draft?.add(same)
        continue
      }
      let findingsBefore = findings.count
      guard let document = readDocument(text, file: file, findings: findings) else {
        isComplete = false
        continue
      }
      let root = Cursor(root: document)
      if file == 0 {
        draft = Draft(main: root, seedFile: seedFile)
        next.hasMain = true
      } else {
        draft = draft ?? Draft(root: root)
        let (firstPool, firstService) = (draft?.pools.count ?? 0, draft?.services.count ?? 0)
        draft?.add(dropIn: root)
        if findings.count == findingsBefore, let draft {
          let known = KnownFile(
            octets: found.files[file].octets, text: text, document: document,
            pools: Array(draft.pools[firstPool...]), services: Array(draft.services[firstService...]))
          next.append(known, at: file, firstPool: firstPool)
        }
      }
    }
    draft?.build = build
    // While a file is missing, references to it would look wrong.
    if isComplete { draft?.check() }
    let configuration = findings.errorCount == 0 ? draft?.assemble(like: known?.pools ?? [:]) : nil
    // Without the main file it is not known what the others mean.
    if next.hasMain, draft?.unreadPools == 0 {
      if let configuration { next.note(configuration, findings) }
      known = next
    }
    return ConfigurationReport(
      configuration: configuration, diagnostics: findings.diagnostics,
      errorCount: findings.errorCount, warningCount: findings.warningCount, steps: findings.steps)
  }
}
