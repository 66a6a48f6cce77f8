import Autodiff
import Foundation
import Layers
import Symmetry
import TensorCore
import TestSupport
import Testing

/// How an isometry turns the numbers of steerable features, `[…, width]`, pixels staying.
private func turned(_ g: PlanarIsometry, _ field: SteerableField, _ x: Tensor) -> Tensor {
  let d = field.dimension
  var matrix = [Float](repeating: 0, count: d * d)
  matrix[0] = 1
  // A mirror left to right is φ ↦ π − φ.
  for m in stride(from: 1, through: field.largestFrequency, by: 1) {
    let (c, s) = (Foundation.cos(Double(m) * g.angle), Foundation.sin(Double(m) * g.angle))
    let flip: Double = g.isReflected ? (m % 2 == 0 ? 1 : -1) : 1
    let sense: Double = g.isReflected ? -1 : 1
    let (i, j) = (2 * m - 1, 2 * m)
    // Rows are inputs.
    matrix[i * d + i] = Float(flip * c)
    matrix[i * d + j] = Float(flip * s)
    matrix[j * d + i] = Float(-flip * sense * s)
    matrix[j * d + j] = Float(flip * sense * c)
  }
  return x.reshaped([-1, d]).matmul(Tensor(matrix, shape: [d, d])).reshaped(x.shape.extents)
}

/// A smooth image, without frequencies that a turn by interpolation would change.
private func smooth(_ side: Int, _ random: inout RandomStream) -> Tensor {
  let middle = Double(side - 1) / 2
  let blobs = (0..<6).map { _ in (random.normal() * 1.5, random.normal() * 1.5, random.normal()) }
  let pixels = (0..<side * side).map { i -> Float in
    let (x, y) = (Double(i % side) - middle, Double(i / side) - middle)
    let sum = blobs.reduce(0.0) { sum, blob in
      let (dx, dy) = (x - blob.0, y - blob.1)
      return sum + blob.2 * Foundation.exp(-(dx * dx + dy * dy) / 18)
    }
    return Float(sum)
  }
  return Tensor(pixels, shape: [1, side, side, 1])
}

@Suite struct SteerableTests {
  @Test("A steerable convolution's features turn with the image", arguments: [false, true])
  func convolution(hasReflections: Bool) {
    var random = RandomStream(seed: 1, name: "steerable")
    let field = SteerableField(channels: 2, largestFrequency: 2)
    let layers = Sequential([
      SteerableConvolution(
        .scalars(1), field, kernel: 7, hasReflections: hasReflections, using: &random),
      SteerableConvolution(field, field, kernel: 5, hasReflections: hasReflections, using: &random),
    ])
    let x = smooth(29, &random)
    let plain = layers.predict(x)
    let scale = plain.absolute().elements.max() ?? 1
    let action = ImageAction(O2())
    let bicubic = ImageAction(O2(), interpolation: .bicubic)
    for g in O2().exactElements where hasReflections || !g.isReflected {
      let moved = layers.predict(action.act([g], on: x))
      #expect(largestDifference(moved, turned(g, field, action.act([g], on: plain))) < 1e-5 * scale)
    }
    // Between quarter turns filters are sampled: up to a tenth of the largest feature, in the middle.
    let middle = discMask(height: plain.shape[1], width: plain.shape[2])
    for angle in [0.3, 0.8, 2.0] {
      let g = PlanarIsometry(residual: angle)
      let moved = layers.predict(bicubic.act([g], on: x))
      let expected = turned(g, field, bicubic.act([g], on: plain))
      #expect(largestDifference(moved * middle, expected * middle) < 0.1 * scale)
    }
    if !hasReflections {
      let g = PlanarIsometry(isReflected: true)
      let moved = layers.predict(action.act([g], on: x))
      #expect(largestDifference(moved, turned(g, field, action.act([g], on: plain))) > 0.1 * scale)
    }
  }

  @Test("Steerable nonlinearities commute with turns") func nonlinearities() {
    var random = RandomStream(seed: 2, name: "bends")
    let field = SteerableField(channels: 3, largestFrequency: 2)
    let x = Tensor.normal([1, 4, 4, field.width], using: &random)
    let norm = SteerableNormReLU(field)
    for _ in 0..<5 {
      let g = O2().sample(using: &random)
      #expect(
        largestDifference(norm.predict(turned(g, field, x)), turned(g, field, norm.predict(x)))
          < 1e-5)
    }
    let fourier = FourierReLU(field, samples: 8)
    for steps in 0..<8 {
      let g = PlanarIsometry(residual: 2 * .pi * Double(steps) / 8)
      #expect(
        largestDifference(
          fourier.predict(turned(g, field, x)), turned(g, field, fourier.predict(x))) < 1e-5)
    }
    // Positive everywhere on the circle, a channel is left as it is.
    var calm = [Float](repeating: 0.2, count: field.width)
    for c in 0..<3 { calm[c * 5] = 3 }
    let y = Tensor(calm, shape: [1, 1, 1, field.width])
    #expect(largestDifference(fourier.predict(y), y) < 1e-5)
    #expect(largestDifference(fourier.predict(-y), .zeros(y.shape)) < 1e-5)
  }
}
