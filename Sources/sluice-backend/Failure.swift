// SPDX-License-Identifier: Apache-2.0

/// Why a command stops: what is wrong and where, and what the operator can do about it.
struct Failure: Error, CustomStringConvertible {
  let problem: String
  let cure: String

  init(_ problem: String, cure: String) {
    self.problem = problem
    self.cure = cure
  }

  var description: String { "\(problem). \(cure)." }
}
