import Foundation
import Testing

@testable import TensorCore

@Suite struct DecimalsTests {
  @Test("Numbers have their decimals as C writes them, also where they are none")
  func asC() {
    var random = RandomStream(seed: 1, name: "decimals")
    let numbers =
      [
        0.5, 1.5, 2.5, 0.125, -0.05, -0.0, 1e300, .leastNonzeroMagnitude, 1 / 3,
        .greatestFiniteMagnitude,
      ]
      + (0..<200).map { _ in random.normal() * 1000 }
    for number in numbers {
      for decimals in [0, 1, 4, 17] {
        #expect(number.formatted(decimals) == String(format: "%.\(decimals)f", number))
      }
    }
    #expect(Double.infinity.formatted(1) == "inf" && (-Double.infinity).formatted(1) == "-inf")
    #expect(Double.nan.formatted(1) == "nan" && (-Double.nan).formatted(3) == "nan")
  }
}
