public import Autodiff
import Foundation
public import TensorCore

/// What steerable features are: `channels` copies of the irreducible representations of the rotations
/// of the plane of frequencies 0…`largestFrequency`.
///
/// A channel is one number of frequency 0, which does not turn, and for each higher frequency *m* a pair
/// that turns by *m* θ when the image turns by θ: 2 · `largestFrequency` + 1 numbers, side by side.
public struct SteerableField: Sendable, Hashable {
  public var channels: Int
  public var largestFrequency: Int

  public init(channels: Int, largestFrequency: Int) {
    self.channels = channels
    self.largestFrequency = largestFrequency
  }

  /// An image: numbers that do not turn.
  public static func scalars(_ channels: Int) -> SteerableField {
    SteerableField(channels: channels, largestFrequency: 0)
  }

  /// How many numbers a channel has.
  public var dimension: Int { 2 * largestFrequency + 1 }
  /// How many numbers a pixel has.
  public var width: Int { channels * dimension }
}

/// A convolution that commutes with rotations of the plane, SO(2), or with reflections too, O(2)
/// (Weiler & Cesa 2019, arXiv 1911.08251).
///
/// Its filters are combinations of circular harmonics, rings times cos and sin of *k* φ: between
/// frequencies *m* and *n* those of *k* = *n* − *m* and *n* + *m*. With reflections, half of them.
///
/// **Shapes.** `[batch, height, width, input.width]` → `[batch, outHeight, outWidth, output.width]`;
/// `weight` `[filters, input.channels, output.channels]`.
///
/// **Law.** Features of a turned image are the turned features, each pair turned by its frequency: to
/// rounding for quarter turns, to sampling otherwise.
public struct SteerableConvolution: Layer {
  public let input, output: SteerableField
  public let weight: Parameter
  /// Of the output's frequency 0: only what does not turn may be shifted.
  public let bias: Parameter
  private let kernel: Int
  private let padding: Int
  /// `[kernel · kernel · input.dimension · output.dimension, filters]`.
  private let basis: Tensor

  public init(
    _ input: SteerableField, _ output: SteerableField, kernel: Int, padding: Int = 0,
    hasReflections: Bool = false, using random: inout RandomStream
  ) {
    (self.input, self.output) = (input, output)
    (self.kernel, self.padding) = (kernel, padding)
    let filters = SteerableConvolution.filters(
      from: input.dimension, to: output.dimension, kernel, hasReflections)
    let rows = filters[0].count
    basis = Tensor(filters.flatMap { $0 }, shape: [filters.count, rows]).transposed().contiguous
    // Each filter has norm 1: an output number sums up the filters of its frequency.
    let perOutput = Float(filters.count) / Float(output.largestFrequency + 1)
    weight = Parameter(
      .normal(
        [filters.count, input.channels, output.channels],
        deviation: (2 / (perOutput * Float(input.channels))).squareRoot(), using: &random))
    bias = Parameter(.zeros([output.channels]))
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("weight", weight), ("bias", bias)]
  }

  /// The kernel of a plain convolution, `[kernel, kernel, input.width, output.width]`.
  public func filters(on tape: Tape) -> Variable {
    let (a, b) = (input.dimension, output.dimension)
    return Variable(basis).matmul(tape(weight).reshaped([basis.shape[1], -1]))
      .reshaped([kernel, kernel, a, b, input.channels, output.channels])
      .permuted([0, 1, 4, 2, 5, 3]).reshaped([kernel, kernel, input.width, output.width])
  }

  public func callAsFunction(_ features: Variable, on tape: Tape) -> Variable {
    let rest = Tensor.zeros([output.channels, output.dimension - 1])
    let shift = Variable.concatenated(
      [tape(bias).reshaped([output.channels, 1]), Variable(rest)], axis: 1)
    return features.convolved(
      with: filters(on: tape), bias: shift.reshaped([-1]), ConvolutionGeometry(padding: padding))
  }

  /// The filters of norm 1, each `[kernel, kernel, from, to]` flat.
  private static func filters(
    from: Int, to: Int, _ kernel: Int, _ hasReflections: Bool
  ) -> [[Float]] {
    var all: [[Float]] = []
    for m in 0...from / 2 {
      for n in 0...to / 2 {
        // Complex-linear, z ↦ w R e^{i(n−m)φ} z, and through the conjugate, z ↦ w R e^{i(n+m)φ} z̄.
        let kinds = m == 0 || n == 0 ? [1] : [1, -1]
        for conjugation in kinds {
          let frequency = n - conjugation * m
          for ring in 0...kernel / 2 where abs(frequency) <= ring {
            for isImaginary in hasReflections ? [false] : [false, true] {
              if isImaginary && m == 0 && n == 0 { continue }
              let filter = sampled(kernel, from, to, m, n) { dx, dy in
                let (r, phi) = (hypot(dx, dy), atan2(dy, dx))
                let apart = r - Double(ring)
                let height = r > Double(kernel) / 2 ? 0 : exp(-apart * apart / (2 * 0.8 * 0.8))
                // At the center only frequency 0 has a direction to stand in.
                if r == 0 && frequency != 0 { return [0, 0, 0, 0] }
                let angle = Double(frequency) * phi + (isImaginary ? .pi / 2 : 0)
                let (c, s) = (height * cos(angle), height * sin(angle))
                return conjugation == 1 ? [c, -s, s, c] : [c, s, s, -c]
              }
              let norm = filter.reduce(0) { $0 + $1 * $1 }.squareRoot()
              if norm > 1e-6 { all.append(filter.map { $0 / norm }) }
            }
          }
        }
      }
    }
    return all
  }

  /// A filter between frequencies *m* and *n* from its 2 × 2 matrix at each place, of which frequency 0
  /// has the first column or row only.
  private static func sampled(
    _ kernel: Int, _ from: Int, _ to: Int, _ m: Int, _ n: Int, _ value: (Double, Double) -> [Double]
  ) -> [Float] {
    var filter = [Float](repeating: 0, count: kernel * kernel * from * to)
    let middle = Double(kernel - 1) / 2
    for y in 0..<kernel {
      for x in 0..<kernel {
        let matrix = value(Double(x) - middle, middle - Double(y))
        for i in 0..<(m == 0 ? 1 : 2) {
          for o in 0..<(n == 0 ? 1 : 2) {
            let (row, column) = (m == 0 ? 0 : 2 * m - 1 + i, n == 0 ? 0 : 2 * n - 1 + o)
            filter[((y * kernel + x) * from + row) * to + column] = Float(matrix[o * 2 + i])
          }
        }
      }
    }
    return filter
  }
}
