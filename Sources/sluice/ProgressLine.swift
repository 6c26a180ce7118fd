// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// How far something is: on a terminal one line that is written over, elsewhere a line for each change.
struct ProgressLine {
  let isUpdated: Bool
  private var text = ""
  private var key = ""

  init(isUpdated: Bool) { self.isUpdated = isUpdated }

  /// - Parameter key: outside a terminal, the text is printed if this differs from the last call's; nil: the text.
  mutating func show(_ text: String, key: String? = nil) throws {
    let isOther = (key ?? text) != self.key
    (self.text, self.key) = (text, key ?? text)
    if isUpdated {
      redraw()
    } else if isOther {
      try write(visible(text))
    }
  }

  /// Writes the line anew in the width that the terminal has now. It is cut one column short: a line that reaches the
  /// end would be wrapped by a terminal that becomes narrower, and never be written over.
  func redraw() {
    guard isUpdated, !text.isEmpty else { return }
    try? FileHandle.standardOutput.write(
      contentsOf: Data("\r\(fitting(visible(text), columns: Self.columns - 1))\u{1B}[K".utf8))
  }

  /// Leaves the line to what comes next.
  func end() {
    guard isUpdated, !text.isEmpty else { return }
    try? FileHandle.standardOutput.write(contentsOf: Data("\n".utf8))
  }

  private static var columns: Int {
    var size = winsize()
    let found = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0
    return found && size.ws_col > 0 ? Int(size.ws_col) : 80
  }
}

/// As much of a text as fits into so many columns.
func fitting(_ text: String, columns: Int) -> String {
  guard displayWidth(text) > columns else { return text }
  var cut = ""
  for character in text {
    guard displayWidth(cut + String(character)) < columns else { break }
    cut.append(character)
  }
  return columns > 0 ? cut + "…" : ""
}
