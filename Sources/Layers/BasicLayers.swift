public import Autodiff
public import TensorCore

/// A fully connected layer: *y* = *x* *W* + *b*.
///
/// **Shapes.** `[batch, inputs]` → `[batch, outputs]`; `weight` `[inputs, outputs]`.
public struct Linear: Layer {
  public let weight, bias: Parameter

  /// Creates a layer with weights drawn from 𝒰(−1/√inputs, 1/√inputs).
  public init(_ inputs: Int, _ outputs: Int, using random: inout RandomStream) {
    weight = Parameter(
      .initialWeights([inputs, outputs], fanIn: inputs, gain: defaultGain, using: &random))
    bias = Parameter(
      .initialWeights([outputs], fanIn: inputs, gain: defaultGain, using: &random))
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("weight", weight), ("bias", bias)]
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    input.matmul(tape(weight)) + tape(bias)
  }
}

/// A linear map: *y* = *x* *W*, with no bias.
///
/// **Shapes.** `[batch, inputs]` → `[batch, outputs]`; `weight` `[inputs, outputs]`.
public struct LinearMap: Layer {
  public let weight: Parameter

  /// Creates a map with weights drawn from 𝒰(−1/√inputs, 1/√inputs).
  public init(_ inputs: Int, _ outputs: Int, using random: inout RandomStream) {
    weight = Parameter(
      .initialWeights([inputs, outputs], fanIn: inputs, gain: defaultGain, using: &random))
  }

  public var parameters: [(name: String, parameter: Parameter)] { [("weight", weight)] }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    input.matmul(tape(weight))
  }
}

/// A convolution of images.
///
/// **Shapes.** `[batch, height, width, inputs]` → `[batch, outHeight, outWidth, outputs]`; `weight`
/// `[kernel, kernel, inputs / groups, outputs]`.
public struct Convolution: Layer {
  public let weight: Parameter
  public let bias: Parameter?
  public let geometry: ConvolutionGeometry

  /// Creates a layer with weights drawn from 𝒰(−1/√fan-in, 1/√fan-in).
  public init(
    _ inputs: Int, _ outputs: Int, kernel: Int, _ geometry: ConvolutionGeometry = .init(),
    hasBias: Bool = true, using random: inout RandomStream
  ) {
    let fanIn = kernel * kernel * inputs / geometry.groups
    weight = Parameter(
      .initialWeights(
        [kernel, kernel, inputs / geometry.groups, outputs], fanIn: fanIn, gain: defaultGain,
        using: &random))
    bias =
      hasBias
      ? Parameter(.initialWeights([outputs], fanIn: fanIn, gain: defaultGain, using: &random)) : nil
    self.geometry = geometry
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("weight", weight)] + (bias.map { [("bias", $0)] } ?? [])
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    input.convolved(with: tape(weight), bias: bias.map { tape($0) }, geometry)
  }
}

/// Zeroes a fraction of the numbers in training, and scales the rest so that the mean stays.
///
/// **Shapes.** Any; with `wholeChannels`, `[batch, height, width, channels]` loses whole channels of
/// an image (Dropout2d).
public struct Dropout: Layer {
  /// The fraction zeroed, below 1.
  public let rate: Float
  public let wholeChannels: Bool

  /// - Precondition: `0 <= rate < 1`.
  public init(_ rate: Float, wholeChannels: Bool = false) {
    require(rate >= 0 && rate < 1, "dropout rate \(rate)")
    self.rate = rate
    self.wholeChannels = wholeChannels
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    guard tape.isTraining && rate > 0 else { return input }
    let s = input.shape
    let mask = tape.uniform(wholeChannels ? [s[0], 1, 1, s[3]] : s)
    return input * Variable((mask - Tensor(rate - 0x1p-25)).step() * (1 / (1 - rate)))
  }
}
