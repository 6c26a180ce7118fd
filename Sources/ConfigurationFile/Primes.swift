// SPDX-License-Identifier: Apache-2.0

/// By trial division: for numbers of the size of a forwarding table.
func isPrime(_ number: Int) -> Bool {
  guard number > 3 else { return number > 1 }
  guard number % 2 != 0 else { return false }
  var divisor = 3
  while divisor * divisor <= number {
    if number % divisor == 0 { return false }
    divisor += 2
  }
  return true
}

/// The closest prime of a range that holds one; the greater of two that are equally close.
func nearestPrime(to number: Int, in range: ClosedRange<Int>) -> Int {
  var distance = 0
  while true {
    for candidate in [number + distance, number - distance]
    where range.contains(candidate) && isPrime(candidate) {
      return candidate
    }
    distance += 1
  }
}
