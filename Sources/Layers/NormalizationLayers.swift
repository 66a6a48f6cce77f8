public import Autodiff
import TensorCore

/// Batch normalization per channel, the last axis, optionally followed by a ReLU in the same pass
/// (Ioffe & Szegedy 2015, arXiv 1502.03167).
///
/// In training by the batch's moments, which also move the running ones; in inference by these. Of a batch in pieces the moments are
/// those of all (`BatchPiece`).
///
/// **Shapes.** `[…, channels]` → the same.
public struct BatchNorm: Layer {
  public let weight, bias, runningMean, runningVariance: Parameter
  public let epsilon, momentum: Float
  public let relu: Bool

  /// - Parameter isAffine: Whether scale and shift after it are learned; else results have mean 0 and variance 1.
  public init(
    _ channels: Int, relu: Bool = false, epsilon: Float = 1e-5, momentum: Float = 0.1,
    isAffine: Bool = true
  ) {
    weight = Parameter(.ones([channels]), isTrainable: isAffine)
    bias = Parameter(.zeros([channels]), isTrainable: isAffine)
    runningMean = Parameter(.zeros([channels]), isTrainable: false)
    runningVariance = Parameter(.ones([channels]), isTrainable: false)
    self.epsilon = epsilon
    self.momentum = momentum
    self.relu = relu
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [
      ("weight", weight), ("bias", bias), ("running_mean", runningMean),
      ("running_var", runningVariance),
    ]
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    normalized(input, on: tape)
  }

  /// The result where the moments of the batch may be known.
  func normalized(
    _ input: Variable, moments: ChannelMoments? = nil, on tape: Tape
  ) -> Variable {
    guard tape.isTraining else {
      let (scale, shift) = inferenceMap
      // Through a frozen network a gradient may still flow to what stands before it.
      if input.requiresGradient {
        let result = input * Variable(scale) + Variable(shift)
        return relu ? result.relu() : result
      }
      return Variable(
        input.value.scaled(by: scale.elements, shift: shift.elements, relu: relu))
    }
    let (result, moments, count) = input.batchNormalized(
      weight: tape(weight), bias: tape(bias), epsilon: epsilon, relu: relu, moments: moments,
      piece: tape.piece)
    guard tape.piece?.isFirst ?? true else { return result }
    let rows = Double(count)
    let unbiased = rows > 1 ? rows / (rows - 1) : 1
    let (newMean, newVariance) = (
      Tensor(moments.mean.map { Float($0) }),
      Tensor(moments.variance.map { Float($0 * unbiased) })
    )
    runningMean.update { $0 = $0 * (1 - momentum) + newMean * momentum }
    runningVariance.update { $0 = $0 * (1 - momentum) + newVariance * momentum }
    return result
  }
}

extension BatchNorm {
  /// What the layer is in inference: *x* · scale + shift per channel.
  var inferenceMap: (scale: Tensor, shift: Tensor) {
    let scale = weight.value / (runningVariance.value + epsilon).squareRoot()
    return (scale, bias.value - runningMean.value * scale)
  }
}

extension Convolution {
  /// The convolution and the batch norm after it, as one convolution with other weights and bias.
  ///
  /// One pass over the image instead of two; equal to both in turn, to rounding.
  func folded(with norm: BatchNorm) -> Derived<PreparedConvolution> {
    Derived(from: (parameters + norm.parameters).map(\.parameter)) {
      let (scale, shift) = norm.inferenceMap
      return PreparedConvolution(
        weight.value * scale, bias: bias.map { $0.value * scale + shift } ?? shift,
        activation: norm.relu ? .relu : nil, geometry)
    }
  }
}

/// Normalization of each member over its last axis (Ba, Kiros & Hinton 2016, arXiv 1607.06450).
///
/// **Shapes.** `[…, channels]` → the same.
public struct LayerNorm: Layer {
  public let weight, bias: Parameter
  public let epsilon: Float

  public init(_ channels: Int, epsilon: Float = 1e-5) {
    weight = Parameter(.ones([channels]))
    bias = Parameter(.zeros([channels]))
    self.epsilon = epsilon
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("weight", weight), ("bias", bias)]
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let centered = input - input.mean([-1], keepingAxes: true)
    let variance = centered.squared().mean([-1], keepingAxes: true)
    return centered / (variance + epsilon).squareRoot() * tape(weight) + tape(bias)
  }
}
