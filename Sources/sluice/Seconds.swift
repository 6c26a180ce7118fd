// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// A time on the command line, written as in the configuration: `90s`, `10m`, `2h`.
struct Seconds: ExpressibleByArgument, Hashable, CustomStringConvertible {
  let count: Int

  init(_ count: Int) { self.count = count }

  init?(argument: String) {
    let units = ["s": 1, "m": 60, "h": 3600]
    guard let unit = argument.last.flatMap({ units[String($0)] }),
      argument.dropLast().allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(argument.dropLast()),
      number <= 7 * 86_400 / unit
    else { return nil }
    count = number * unit
  }

  /// In the largest unit that gives a whole number.
  var description: String {
    switch count {
    case 0: "0s"
    case _ where count % 3600 == 0: "\(count / 3600)h"
    case _ where count % 60 == 0: "\(count / 60)m"
    default: "\(count)s"
    }
  }

  var defaultValueDescription: String { description }
}
