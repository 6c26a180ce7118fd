// SPDX-License-Identifier: Apache-2.0

/// The files of a configuration as found on disk, before anything of them is understood.
struct FoundFiles {
  struct File {
    /// As diagnostics show it.
    let path: String
    /// Empty where the file cannot be read.
    var octets: [UInt8]
  }

  /// The main file, then the drop-ins in the order of their names.
  private(set) var files: [File] = []
  /// Files that cannot be read, by their index, and other troubles, which count as the main file's.
  private(set) var unreadable: [(file: Int, code: Diagnostic.Code, message: String)] = []

  /// - Parameter candidate: a text in place of the main file; nil: the file itself.
  init(path: String, candidate: String? = nil) {
    if let candidate {
      files.append(File(path: "candidate", octets: Array(candidate.utf8)))
    } else {
      add(path)
    }
    let directory = path.lastIndex(of: "/").map { path[...$0] + "conf.d" } ?? "conf.d"
    do throws(FileError) {
      let names = try directoryEntries(String(directory)).filter {
        $0.hasSuffix(".yaml") && !$0.hasPrefix(".")
      }
      let most = ConfigurationLoader.maximumDropIns
      for name in names.prefix(most) { add("\(directory)/\(name)") }
      if names.count > most {
        unreadable.append((0, .tooLarge, "\(directory) has more than \(most) files"))
      }
    } catch {
      unreadable.append((0, .unreadableFile, "cannot read \(directory): \(error)"))
    }
  }

  init(_ texts: [SourceFile]) {
    files = texts.map { File(path: $0.path, octets: Array($0.text.utf8)) }
    if files.isEmpty { files = [File(path: "", octets: [])] }
  }

  private mutating func add(_ path: String) {
    var file = File(path: path, octets: [])
    do throws(FileError) {
      let limit = ConfigurationLoader.maximumFileSize
      let octets = try readFile(path, limit: limit).bytes
      if octets.count <= limit {
        file.octets = octets
      } else {
        unreadable.append((files.count, .tooLarge, "the file is larger than \(limit) bytes"))
      }
    } catch {
      unreadable.append((files.count, .unreadableFile, "cannot read the file: \(error)"))
    }
    files.append(file)
  }

  /// Refuses files that are not UTF-8.
  /// - Parameter known: the indices of files that are known to be.
  mutating func refuseOtherThanText(except known: some Collection<Int>) {
    let known = Set(known)
    for index in files.indices where !known.contains(index) {
      guard String(validating: files[index].octets, as: UTF8.self) == nil else { continue }
      files[index].octets = []
      // What troubles the directory comes after the main file's own.
      unreadable.insert(
        (index, .notUTF8, "the file is not UTF-8 text"), at: index == 0 ? 0 : unreadable.count)
    }
  }
}
