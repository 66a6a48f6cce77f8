import CKernels
import Foundation
import TensorCore
import Testing

/// Functions of each number, beside those of `Double`.
@Suite struct FunctionTests {
  struct Function: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let found: @Sendable (Tensor) -> Tensor
    let exact: @Sendable (Double) -> Double
    let range: ClosedRange<Double>
    /// Units in the last place.
    let tolerance: Double
  }

  static let functions = [
    Function(
      testDescription: "exp", found: { $0.exponential() }, exact: { exp($0) }, range: -87...88.7,
      tolerance: 2),
    Function(
      testDescription: "log", found: { $0.logarithm() }, exact: { log($0) }, range: 1e-3...100,
      tolerance: 2),
    Function(
      testDescription: "tanh", found: { $0.hyperbolicTangent() }, exact: { tanh($0) },
      range: -12...12, tolerance: 2),
    Function(
      testDescription: "sigmoid", found: { $0.sigmoid() }, exact: { 1 / (1 + exp(-$0)) },
      range: -80...80, tolerance: 4),
    Function(
      testDescription: "softplus", found: { $0.softplus() },
      exact: { max($0, 0) + log1p(exp(-abs($0))) },
      range: -80...80, tolerance: 4),
  ]

  @Test("Functions are within a few units in the last place", arguments: functions)
  func accuracy(function: Function) {
    let (low, high) = (function.range.lowerBound, function.range.upperBound)
    let numbers = (0...100_000).map { Float(low + (high - low) * Double($0) / 100_000) }
    let found = function.found(Tensor(numbers)).elements
    let worst = zip(numbers, found).map { x, y in
      let expected = function.exact(Double(x))
      return abs(Double(y) - expected) / Double(Float(expected).ulp)
    }.max()
    #expect(worst.map { $0 <= function.tolerance } == true, "\(worst ?? .nan)")
  }

  @Test("A number's function does not depend on where it stands, nor on what stands beside it")
  func places() {
    let numbers = (0..<40).map { Float($0) * 0.7 - 13.9 }
    for function in Self.functions {
      let numbers = numbers.map { abs($0) + Float(max(0, function.range.lowerBound)) }
      let all = function.found(Tensor(numbers)).elements
      for count in 1..<40 {
        #expect(function.found(Tensor(Array(numbers[..<count]))).elements == Array(all[..<count]))
      }
    }
  }

  @Test("Beyond the range of floats an exponential is infinite, or nothing, and its logarithm back")
  func edges() {
    let e = Tensor([89, .infinity, -104, -.infinity, .nan, -100, 0]).exponential().elements
    #expect(e[0] == .infinity && e[1] == .infinity && e[2] == 0 && e[3] == 0 && e[4].isNaN)
    // A denormal number, to half of the least of them.
    #expect(abs(e[5] - expf(-100)) <= .leastNonzeroMagnitude && e[6] == 1)
    let l = Tensor([0, .infinity, -1, .nan, .leastNonzeroMagnitude, 1, -.infinity, -0.0])
      .logarithm().elements
    #expect(l[0] == -.infinity && l[1] == .infinity && l[2].isNaN && l[3].isNaN)
    #expect(abs(l[4] - logf(.leastNonzeroMagnitude)) < 1e-4 && l[5] == 0)
    #expect(l[6].isNaN && l[7] == -.infinity)
    let t = Tensor([.infinity, -.infinity, .nan, 0, -0.0, 1e-30, -40]).hyperbolicTangent().elements
    #expect(t[0] == 1 && t[1] == -1 && t[2].isNaN && t[3] == 0 && t[5] == 1e-30 && t[6] == -1)
    #expect(t[4].sign == .minus)
    let s = Tensor([.infinity, -.infinity, .nan, 200, -200]).softplus().elements
    #expect(s[0] == .infinity && s[1] == 0 && s[2].isNaN && s[3] == 200 && s[4] == 0)
    let g = Tensor([.infinity, -.infinity, .nan, 100, -100]).sigmoid().elements
    #expect(g[0] == 1 && g[1] < 1e-37 && g[1] >= 0 && g[2].isNaN && g[3] == 1 && g[4] < 1e-37)
  }
}
