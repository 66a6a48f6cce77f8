import Autodiff
import Foundation
import TensorCore
import TestSupport
import Testing

private func random(_ shape: Shape, _ name: String, from lower: Float = -1, to upper: Float = 1)
  -> Tensor
{
  var stream = RandomStream(seed: 11, name: name)
  return .uniform(shape, from: lower, to: upper, using: &stream)
}

/// Float rounding of functions of a few operations on numbers of unit size.
private let tolerance = 2e-6

struct Unary: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let operation: @Sendable (Variable) -> Variable
  let reference: @Sendable (Double) -> Double
}

@Suite struct OperationTests {
  static let functions: [Unary] = [
    Unary(testDescription: "relu", operation: { $0.relu() }, reference: { max($0, 0) }),
    Unary(
      testDescription: "leakyRelu", operation: { $0.leakyRelu(slope: 0.1) },
      reference: { $0 > 0 ? $0 : 0.1 * $0 }),
    Unary(
      testDescription: "sigmoid", operation: { $0.sigmoid() },
      reference: { 1 / (1 + Foundation.exp(-$0)) }),
    Unary(testDescription: "sine", operation: { $0.sine() }, reference: { Foundation.sin($0) }),
    Unary(testDescription: "cosine", operation: { $0.cosine() }, reference: { Foundation.cos($0) }),
    Unary(testDescription: "tanh", operation: { $0.tanh() }, reference: { Foundation.tanh($0) }),
    Unary(
      testDescription: "silu", operation: { $0.silu() },
      reference: { $0 / (1 + Foundation.exp(-$0)) }),
    Unary(testDescription: "exp", operation: { $0.exp() }, reference: { Foundation.exp($0) }),
    Unary(
      testDescription: "log", operation: { ($0 + 2).log() }, reference: { Foundation.log($0 + 2) }),
    Unary(testDescription: "squared", operation: { $0.squared() }, reference: { $0 * $0 }),
    Unary(
      testDescription: "squareRoot", operation: { ($0 + 2).squareRoot() },
      reference: { Foundation.sqrt($0 + 2) }),
    Unary(
      testDescription: "softplus", operation: { $0.softplus() },
      reference: { Foundation.log(1 + Foundation.exp($0)) }),
    Unary(testDescription: "negation", operation: { -$0 }, reference: { -$0 }),
  ]

  @Test("Functions of one argument, and their derivatives", arguments: functions)
  func unary(f: Unary) {
    let d = OperationDeviation(of: [random([3, 11], "unary")]) {
      f.operation($0[0])
    } reference: {
      $0[0].map(f.reference)
    }
    #expect(d.value < tolerance && d.gradient < tolerance)
  }

  @Test("The maximum over an axis, and its gradient, shared among equals") func maximum() {
    for axis in 0..<3 {
      let d = OperationDeviation(of: [random([2, 3, 4], "maximum")]) {
        $0[0].maximum(axis)
      } reference: { v in
        let steps = [12, 4, 1]
        let extents = [2, 3, 4]
        return (0..<24).filter { $0 / steps[axis] % extents[axis] == 0 }.map { start in
          (0..<extents[axis]).map { v[0][start + $0 * steps[axis]] }.max() ?? 0
        }
      }
      #expect(d.value < tolerance && d.gradient < tolerance)
    }
    let x = Variable(Tensor([3, 3, 1], shape: [1, 3]), requiresGradient: true)
    #expect(Gradients(of: x.maximum(1).sum())[x]?.elements == [0.5, 0.5, 0])
  }

  @Test("Arithmetic with broadcasting, and its gradients") func arithmetic() {
    let d = OperationDeviation(
      of: [random([2, 1, 3], "a"), random([4, 1], "b", from: 1, to: 2), random([3], "c")]
    ) {
      ($0[0] * $0[1] - $0[2]) / $0[1] + $0[0]
    } reference: { v in
      (0..<24).map { i in
        let (a, b, c) = (v[0][i / 12 * 3 + i % 3], v[1][i / 3 % 4], v[2][i % 3])
        return (a * b - c) / b + a
      }
    }
    #expect(d.value < tolerance && d.gradient < tolerance)
  }

  @Test("Matrix products of batches, and their gradients") func products() {
    let d = OperationDeviation(of: [
      random([2, 3, 4], "a"), random([2, 4, 5], "b"), random([5, 2], "c"),
    ]) {
      $0[0].matmul($0[1]).matmul($0[2])
    } reference: { v in
      func product(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>, _ m: Int, _ k: Int, _ n: Int)
        -> [Double]
      {
        let (a, b) = (Array(a), Array(b))
        return (0..<m * n).map { i in
          (0..<k).reduce(0) { $0 + a[i / n * k + $1] * b[$1 * n + i % n] }
        }
      }
      return (0..<2).flatMap { n in
        product(
          product(v[0][n * 12..<n * 12 + 12], v[1][n * 20..<n * 20 + 20], 3, 4, 5)[...], v[2][...],
          3, 5, 2)
      }
    }
    #expect(d.value < tolerance && d.gradient < tolerance)
  }

  @Test("Softmax, its logarithm, and log-sum-exp") func softmax() {
    func rows(_ v: [Double], _ f: ([Double]) -> [Double]) -> [Double] {
      stride(from: 0, to: v.count, by: 4).flatMap { f(Array(v[$0..<$0 + 4])) }
    }
    let x = random([3, 4], "softmax", from: -3, to: 3)
    let soft = OperationDeviation(of: [x]) {
      $0[0].softmax()
    } reference: {
      rows($0[0]) { r in r.map { Foundation.exp($0) / r.map { Foundation.exp($0) }.reduce(0, +) } }
    }
    let log = OperationDeviation(of: [x]) {
      $0[0].logSoftmax()
    } reference: {
      rows($0[0]) { r in r.map { $0 - Foundation.log(r.map { Foundation.exp($0) }.reduce(0, +)) } }
    }
    let sum = OperationDeviation(of: [x]) {
      $0[0].logSumExp()
    } reference: {
      rows($0[0]) { r in [Foundation.log(r.map { Foundation.exp($0) }.reduce(0, +))] }
    }
    for d in [soft, log, sum] { #expect(d.value < tolerance && d.gradient < tolerance) }
  }

  @Test("Rearrangements and reductions, and their gradients") func shapes() {
    let x = random([2, 3, 4], "shapes")
    let permuted = OperationDeviation(of: [x]) {
      $0[0].permuted([2, 0, 1]).reshaped([4, 6]).sliced(1..<3).gathered([1, 0, 1]).sum([1])
    } reference: { v in
      let rows = (1..<3).map { c in (0..<6).reduce(0) { $0 + v[0][$1 * 4 + c] } }
      return [rows[1], rows[0], rows[1]]
    }
    let joined = OperationDeviation(of: [x, random([2, 3, 2], "more")]) {
      Variable.concatenated([$0[0], $0[1]], axis: 2).mean([0], keepingAxes: true).reshaped([-1])
    } reference: { v in
      (0..<18).map { i in
        let (r, c) = (i / 6, i % 6)
        func at(_ n: Int) -> Double {
          c < 4 ? v[0][(n * 3 + r) * 4 + c] : v[1][(n * 3 + r) * 2 + c - 4]
        }
        return (at(0) + at(1)) / 2
      }
    }
    for d in [permuted, joined] { #expect(d.value < tolerance && d.gradient < tolerance) }
  }

  @Test("Pooling and upsampling, and their gradients") func pooling() {
    let x = random([2, 5, 4, 3], "pool")
    func at(_ v: [Double], _ n: Int, _ i: Int, _ j: Int, _ c: Int) -> Double {
      v[((n * 5 + i) * 4 + j) * 3 + c]
    }
    func windows(_ v: [Double], _ f: ([Double]) -> Double) -> [Double] {
      (0..<24).map { (k: Int) -> Double in
        let (n, i, j, c) = (k / 12, k / 6 % 2, k / 3 % 2, k % 3)
        return f((0..<4).map { at(v, n, 2 * i + $0 / 2, 2 * j + $0 % 2, c) })
      }
    }
    let largest = OperationDeviation(of: [x]) {
      $0[0].maxPooled(size: 2)
    } reference: {
      windows($0[0]) { $0.max() ?? 0 }
    }
    let mean = OperationDeviation(of: [x]) {
      $0[0].averagePooled(size: 2)
    } reference: {
      windows($0[0]) { $0.reduce(0, +) / 4 }
    }
    let up = OperationDeviation(of: [x]) {
      $0[0].upsampled(2)
    } reference: { v in
      (0..<480).map { (k: Int) -> Double in at(v[0], k / 240, k / 24 % 10 / 2, k / 3 % 8 / 2, k % 3)
      }
    }
    for d in [largest, mean, up] { #expect(d.value < tolerance && d.gradient < tolerance) }
  }

  @Test("Batch normalization, and its gradients through the moments", arguments: [false, true])
  func batchNorm(relu: Bool) {
    let (x, w, b) = (
      random([4, 3, 2, 2], "bn"), random([2], "w", from: 0.5, to: 1.5), random([2], "b")
    )
    let d = OperationDeviation(of: [x, w, b]) {
      $0[0].batchNormalized(weight: $0[1], bias: $0[2], epsilon: 1e-3, relu: relu).result
    } reference: { v in
      let channels = (0..<2).map { c in stride(from: c, to: v[0].count, by: 2).map { v[0][$0] } }
      let means = channels.map { $0.reduce(0, +) / Double($0.count) }
      let variances = zip(channels, means).map { c, m in
        c.map { ($0 - m) * ($0 - m) }.reduce(0, +) / Double(c.count)
      }
      return v[0].enumerated().map { i, value in
        let c = i % 2
        let y = (value - means[c]) / (variances[c] + 1e-3).squareRoot() * v[1][c] + v[2][c]
        return relu ? max(y, 0) : y
      }
    }
    #expect(d.value < 5e-6 && d.gradient < 5e-6)
  }

  @Test("Gradients add up where a variable is used twice, and stop at constants") func sharing() {
    let x = Variable(Tensor([2, 3]), requiresGradient: true)
    let constant = Variable(Tensor([5, 7]))
    let y = (x * x + x * constant + x.detached * x).sum()
    let gradients = Gradients(of: y)
    // d/dx (x² + 5x + stop(x) x) = 2x + 5 + x
    #expect(gradients[x]?.elements == [11, 16])
    #expect(gradients[constant] == nil)
  }

  @Test("A chain of 100,000 operations needs no deep stack") func longChain() {
    let x = Variable(Tensor(1), requiresGradient: true)
    var y = x
    for _ in 0..<100_000 { y = y + x }
    #expect(Gradients(of: y)[x]?.scalar == 100_001)
  }
}
