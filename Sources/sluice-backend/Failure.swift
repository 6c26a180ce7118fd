// SPDX-License-Identifier: Apache-2.0

/// An error that ends a command: what is wrong, and what the operator can do.
struct Failure: Error, CustomStringConvertible {
  let problem: String
  let cure: String

  init(_ problem: String, cure: String) {
    self.problem = problem
    self.cure = cure
  }

  var description: String { "\(problem). \(cure)." }
}
