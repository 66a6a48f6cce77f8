public import Autodiff
import Foundation
import TensorCore

/// Batch norm and ReLU of the lengths of steerable features, which keeps their directions.
///
/// Numbers of frequency 0 are normalized as usual; a pair is scaled so that its length becomes that of
/// its normalized length, or 0.
///
/// **Shapes.** `[batch, height, width, field.width]` → the same.
public struct SteerableNormReLU: Layer {
  private let field: SteerableField
  private let norm: BatchNorm

  public init(_ field: SteerableField) {
    self.field = field
    norm = BatchNorm(field.channels * (field.largestFrequency + 1), relu: true)
  }

  public var parameters: [(name: String, parameter: Parameter)] { norm.parameters }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let (c, f) = (field.channels, field.largestFrequency)
    let features = input.reshaped([-1, c, field.dimension])
    let scalars = features.sliced(0..<1, axis: 2)
    guard f > 0 else { return norm(input, on: tape) }
    let pairs = features.sliced(1..<field.dimension, axis: 2).reshaped([-1, c, f, 2])
    let lengths = (pairs.squared().sum([3]) + 1e-12).squareRoot()
    let sizes = norm(
      .concatenated([scalars, lengths], axis: 2).reshaped([-1, c * (f + 1)]), on: tape
    ).reshaped([-1, c, f + 1])
    let scaled = pairs * (sizes.sliced(1..<f + 1, axis: 2) / lengths).reshaped([-1, c, f, 1])
    return Variable.concatenated(
      [sizes.sliced(0..<1, axis: 2), scaled.reshaped([-1, c, 2 * f])], axis: 2
    ).reshaped(input.shape.extents)
  }
}

/// A ReLU of samples on the circle, of which a channel's numbers are the Fourier coefficients.
///
/// A channel is a function of the angle, and is bent where it is sampled (de Haan et al. 2021,
/// arXiv 2003.05425).
///
/// Exact for turns by multiples of 2π/`samples`, and close between them.
///
/// **Shapes.** `[batch, height, width, field.width]` → the same.
public struct FourierReLU: Layer {
  private let field: SteerableField
  /// `[dimension, samples]` and back.
  private let toSamples, toCoefficients: Tensor

  /// - Precondition: `samples` exceeds twice the largest frequency.
  public init(_ field: SteerableField, samples: Int = 16) {
    require(samples > 2 * field.largestFrequency, "\(samples) samples of \(field)")
    self.field = field
    let rows = (0..<field.dimension).map { d -> [Float] in
      (0..<samples).map { n in
        let angle = 2 * Double.pi * Double((d + 1) / 2 * n) / Double(samples)
        return Float(d == 0 ? 1 : d % 2 == 1 ? cos(angle) : sin(angle))
      }
    }
    toSamples = Tensor(rows.flatMap { $0 }, shape: [field.dimension, samples])
    // Rows are orthogonal: of squared length `samples`, or half of it.
    let weights = (0..<field.dimension).map { ($0 == 0 ? 1 : 2) / Float(samples) }
    toCoefficients = (toSamples * Tensor(weights, shape: [field.dimension, 1])).transposed()
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let samples = input.reshaped([-1, field.dimension]).matmul(Variable(toSamples))
    return samples.relu().matmul(Variable(toCoefficients)).reshaped(input.shape.extents)
  }
}
