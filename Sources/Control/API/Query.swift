// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// A request's query, read strictly: a misspelled `dry_run` must not become a change.
struct Query: Sendable {
  private let values: [String: String]

  /// - Parameter lists: parameters that may be given more than once.
  /// - Throws: ``ControlError`` for a parameter that is not among `allowed`, or is given twice and is no list.
  init(_ text: String?, allowed: [String], lists: Set<String> = []) throws(ControlError) {
    var values: [String: String] = [:]
    for part in (text ?? "").split(separator: "&") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = String(pair[0]).removingPercentEncoding,
        let value = (pair.count == 2 ? String(pair[1]) : "").removingPercentEncoding
      else {
        throw ControlError.invalid("the query is not percent-encoded text")
      }
      guard allowed.contains(name) else {
        throw ControlError.unknownKey("query parameter", name, among: allowed)
      }
      if let fault = plainTextFault(value) { throw ControlError.invalid("\(name) \(fault)") }
      if let before = values[name] {
        guard lists.contains(name) else {
          throw ControlError.invalid("query parameter \"\(name)\" is given twice")
        }
        values[name] = before + "," + value
      } else {
        values[name] = value
      }
    }
    self.values = values
  }

  /// A parameter that is 1, 0 or absent.
  func flag(_ name: String) throws(ControlError) -> Bool {
    switch values[name] {
    case nil, "0": return false
    case "1": return true
    case let other?: throw ControlError.invalid("\(name)=\(other.prefix(64)) is neither 0 nor 1")
    }
  }

  /// A parameter that is a decimal number with at most `digits` digits, or absent.
  func number(_ name: String, digits: Int = 6) throws(ControlError) -> Int? {
    guard let text = values[name] else { return nil }
    guard (1...digits).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      throw ControlError.invalid("\(name)=\(text.prefix(64)) is not a whole number")
    }
    return Int(text)
  }

  func text(_ name: String) -> String? { values[name] }

  /// The parts of a parameter that is given more than once, or with commas.
  func list(_ name: String) -> [String] {
    values[name]?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
  }
}
