public import Autodiff
public import TensorCore

// Vector neurons (Deng et al. 2021, arXiv 2104.12229): a channel is a vector of the space, and layers
// mix channels without looking at coordinates, so that they commute with rotations and reflections.
// Shapes are [batch, …, coordinates, channels]: mixing channels is then a matrix product.

/// Vector channels mixed linearly: *V* ↦ *V* *W*.
///
/// **Shapes.** `[batch, …, coordinates, inputs]` → `[batch, …, coordinates, outputs]`.
public typealias VectorLinear = LinearMap

/// The leaky ReLU of vectors: what points against a learned direction *k* loses its part along *k*.
///
///     v ↦ v − (1 − slope) · min(⟨v, k⟩, 0) k / |k|²,   k = V D
///
/// **Shapes.** `[batch, …, coordinates, channels]` → the same.
public struct VectorLeakyReLU: Layer {
  public let directions: VectorLinear
  public let slope: Float

  public init(_ channels: Int, slope: Float = 0.2, using random: inout RandomStream) {
    directions = VectorLinear(channels, channels, using: &random)
    self.slope = slope
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("directions", directions.weight)]
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let k = directions(input, on: tape)
    let against = (-(input * k).sum([-2], keepingAxes: true)).relu()
    let square = k.squared().sum([-2], keepingAxes: true) + 1e-6
    return input + against / square * k * (1 - slope)
  }
}

/// Batch normalization of vectors' lengths, which keeps their directions.
///
/// **Shapes.** `[batch, …, coordinates, channels]` → the same.
public struct VectorBatchNorm: Layer {
  private let norm: BatchNorm

  public init(_ channels: Int) { norm = BatchNorm(channels) }

  public var parameters: [(name: String, parameter: Parameter)] { norm.parameters }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let length = input.lengths()
    return input * (norm(length, on: tape) / length)
  }
}

/// For each channel, the vector that points furthest along a learned direction, over all points.
///
/// **Shapes.** `[batch, points, coordinates, channels]` → `[batch, coordinates, channels]`.
public struct VectorMaxPool: Layer {
  public let directions: VectorLinear

  public init(_ channels: Int, using random: inout RandomStream) {
    directions = VectorLinear(channels, channels, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("directions", directions.weight)]
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let along = (input * directions(input, on: tape)).sum([2], keepingAxes: true).detached
    let isFurthest = along.isEqual(to: along.maximum(1, keepingAxes: true))
    let share = isFurthest / isFurthest.sum([1], keepingAxes: true)
    return (input * share).sum([1])
  }
}

extension Variable {
  /// The lengths of vectors, `[…, coordinates, channels]` → `[…, 1, channels]`, never 0.
  func lengths() -> Variable { (squared().sum([-2], keepingAxes: true) + 1e-12).squareRoot() }
}
