import Autodiff
import Foundation
import TensorCore
import TestSupport
import Testing

private func random(_ shape: Shape, _ name: String, size: Float) -> Tensor {
  var stream = RandomStream(seed: 21, name: name)
  return .uniform(shape, from: -size, to: size, using: &stream)
}

/// Σ *A*ᵏ / *k*! of matrices of a size one after the other, by the plain series in `Double`.
private func series(_ numbers: [Double], _ n: Int) -> [Double] {
  stride(from: 0, to: numbers.count, by: n * n).flatMap { start -> [Double] in
    let a = Array(numbers[start..<start + n * n])
    let identity = (0..<n * n).map { $0 % (n + 1) == 0 ? 1.0 : 0 }
    var (sum, term) = (identity, identity)
    for k in 1...60 {
      term = (0..<n * n).map { i in
        (0..<n).reduce(0.0) { $0 + term[i / n * n + $1] * a[$1 * n + i % n] } / Double(k)
      }
      for i in sum.indices { sum[i] += term[i] }
    }
    return sum
  }
}

@Suite struct MatrixExponentialTests {
  @Test(
    "Value and gradient of matrix exponentials, for small and large matrices",
    arguments: [
      Float(0.1), 0.6, 2,
    ])
  func deviation(size: Float) {
    for n in [1, 3, 5] {
      let d = OperationDeviation(of: [random([3, n, n], "\(n)", size: size)]) {
        $0[0].matrixExponential()
      } reference: {
        series($0[0], n)
      }
      #expect(d.value < 2e-6 && d.gradient < 2e-6, "\(n): \(d.value) \(d.gradient)")
    }
  }

  @Test("A turn by 30 radians, of norm 30, is exact to Float's precision") func rotation() {
    for angle in [Float(1e-4), 1, 30] {
      let found = Tensor([0, -angle, angle, 0], shape: [2, 2]).matrixExponential().elements
      let (c, s) = (cos(Double(angle)), sin(Double(angle)))
      for (a, b) in zip(found, [c, -s, s, c]) { #expect(abs(Double(a) - b) < 1e-7) }
    }
  }

  @Test("The exponential of a nilpotent matrix is its finite series, and of zero the identity")
  func nilpotent() {
    let a = Tensor([0, 2, 5, 0, 0, 3, 0, 0, 0], shape: [3, 3])
    #expect(a.matrixExponential().elements == [1, 2, 8, 0, 1, 3, 0, 0, 1])
    let identity: [Float] = [1, 0, 0, 0, 1, 0, 0, 0, 1]
    #expect(Tensor.zeros([3, 3]).matrixExponential().elements == identity)
    #expect(Tensor.zeros([0, 3, 3]).matrixExponential().shape == [0, 3, 3])
  }

  @Test("exp(A) exp(−A) = 1") func inverse() {
    let a = random([4, 6, 6], "inverse", size: 1)
    let product = a.matrixExponential().matmul((-a).matrixExponential())
    let identity = Tensor((0..<36).map { $0 % 7 == 0 ? 1 : 0 }, shape: [1, 6, 6])
    #expect((product - identity).absolute().elements.max() ?? 1 < 1e-4)
    // What one matrix becomes does not depend on the others.
    #expect(a.sliced(2..<3).matrixExponential() == a.matrixExponential().sliced(2..<3))
  }

  @Test(
    "What is no number has an exponential of none, and a matrix too large one that is not finite")
  func degenerate() {
    let mixed = Tensor([.nan, 0, 0, 1, 1, 0, 0, 1], shape: [2, 2, 2])
    let found = mixed.matrixExponential().elements
    #expect(found[0..<4].allSatisfy(\.isNaN) && found[4..<8].allSatisfy(\.isFinite))
    #expect(!mixed.matrixExponentialGradient(.ones([2, 2, 2])).elements[0].isFinite)
    #expect(!Tensor([1e30], shape: [1, 1]).matrixExponential().elements[0].isFinite)
    #expect(!Tensor([.infinity], shape: [1, 1]).matrixExponential().elements[0].isFinite)
  }

  @Test("A transposed convolution is the adjoint of the convolution, with its gradients")
  func transposedConvolution() {
    let geometry = ConvolutionGeometry(stride: 2, padding: 1)
    let (x, w) = (random([2, 3, 3, 5], "x", size: 1), random([4, 4, 2, 5], "w", size: 1))
    // ⟨Tᵀ x, y⟩ = ⟨x, T y⟩ for every y: its numbers, one at a time, as the reference.
    let d = OperationDeviation(of: [x, w]) {
      $0[0].transposedConvolved(with: $0[1], geometry, to: [2, 6, 6, 2])
    } reference: { numbers in
      var y = [Double](repeating: 0, count: 2 * 6 * 6 * 2)
      for n in 0..<2 {
        for i in 0..<9 {
          for tap in 0..<16 {
            let (r, c) = (2 * (i / 3) + tap / 4 - 1, 2 * (i % 3) + tap % 4 - 1)
            guard (0..<6).contains(r), (0..<6).contains(c) else { continue }
            for o in 0..<2 {
              for k in 0..<5 {
                y[((n * 6 + r) * 6 + c) * 2 + o] +=
                  numbers[0][(n * 9 + i) * 5 + k] * numbers[1][(tap * 2 + o) * 5 + k]
              }
            }
          }
        }
      }
      return y
    }
    #expect(d.value < 2e-6 && d.gradient < 2e-6)
  }
}
