// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a text that a log line, a table and JSON show as it is; nil where nothing is.
///
/// The same for everything that requests say and for what state files hold: control characters, among them line breaks,
/// and those that turn the direction of writing.
public func plainTextFault(_ text: String) -> String? {
  let isBad = text.unicodeScalars.contains {
    $0.properties.generalCategory == .control || $0.properties.isBidiControl
  }
  return isBad ? "has a control character" : nil
}
