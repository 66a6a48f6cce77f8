public import Autodiff
public import TensorCore

/// A convolution run backwards: each pixel writes a window, and windows lie a stride apart.
///
/// **Shapes.** `[batch, height, width, inputs]` → `[batch, stride · height, stride · width, outputs]` for a kernel of
/// stride + 2 · padding; `weight` `[kernel, kernel, outputs, inputs]`, as of the convolution that it transposes.
public struct TransposedConvolution: Layer {
  public let weight, bias: Parameter
  public let geometry: ConvolutionGeometry

  /// Creates a layer with weights drawn from 𝒰(−1/√fan-in, 1/√fan-in), of the fan-in kernel² · outputs that PyTorch counts.
  ///
  /// - Precondition: The kernel is stride + 2 · padding wide.
  public init(
    _ inputs: Int, _ outputs: Int, kernel: Int, _ geometry: ConvolutionGeometry,
    using random: inout RandomStream
  ) {
    require(
      kernel == geometry.stride + 2 * geometry.padding,
      "a kernel of \(kernel) at stride \(geometry.stride) and padding \(geometry.padding)")
    let fanIn = kernel * kernel * outputs
    weight = Parameter(
      .initialWeights(
        [kernel, kernel, outputs, inputs], fanIn: fanIn, gain: defaultGain, using: &random))
    bias = Parameter(
      .initialWeights([outputs], fanIn: fanIn, gain: defaultGain, using: &random))
    self.geometry = geometry
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("weight", weight), ("bias", bias)]
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let s = input.shape
    return input.transposedConvolved(
      with: tape(weight), geometry,
      to: [
        s[0], s[1] * geometry.stride, s[2] * geometry.stride, weight.value.shape[2],
      ]) + tape(bias)
  }
}

/// An encoder of images that disentanglement is usually measured with.
///
/// Four 4×4 convolutions of stride 2 and padding 1, of `width`, `width`, 2 `width`, 2 `width` channels with ReLU, a hidden linear
/// layer with ReLU, and a linear one (after Locatello et al. 2019, arXiv 1811.12359).
///
/// **Shapes.** `[batch, size, size, channels]` → `[batch, outputs]`.
public struct HalvingEncoder: Layer {
  private let convolutions: [Convolution]
  private let hidden, head: Linear

  /// - Precondition: 16 divides the size.
  public init(
    size: Int, channels: Int, width: Int, hidden: Int, outputs: Int,
    using random: inout RandomStream
  ) {
    require(size > 0 && size % 16 == 0, "images of \(size) pixels cannot be halved four times")
    let plan = [channels, width, width, 2 * width, 2 * width]
    convolutions = zip(plan, plan.dropFirst()).map {
      Convolution($0, $1, kernel: 4, .halving, using: &random)
    }
    let side = size / 16
    self.hidden = Linear(side * side * 2 * width, hidden, using: &random)
    head = Linear(hidden, outputs, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    named(convolutions, "convolution") + named([hidden], "hidden") + named([head], "head")
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let features = convolutions.reduce(input) { x, layer in
      x.convolved(
        with: tape(layer.weight), bias: layer.bias.map { tape($0) }, relu: true, layer.geometry)
    }
    return head(hidden(features.reshaped([input.shape[0], -1]), on: tape).relu(), on: tape)
  }
}

/// The way back from codes to images: two linear layers, and four 4×4 transposed convolutions of stride 2 and
/// padding 1, all but the last with ReLU.
///
/// **Shapes.** `[batch, inputs]` → `[batch, size, size, channels]`, raw numbers.
public struct DoublingDecoder: Layer {
  private let hidden, spread: Linear
  private let convolutions: [TransposedConvolution]
  private let side: Int

  /// - Precondition: 16 divides the size.
  public init(
    inputs: Int, hidden: Int, size: Int, channels: Int, width: Int,
    using random: inout RandomStream
  ) {
    require(size > 0 && size % 16 == 0, "images of \(size) pixels are not doubled four times")
    side = size / 16
    self.hidden = Linear(inputs, hidden, using: &random)
    spread = Linear(hidden, side * side * 2 * width, using: &random)
    let plan = [2 * width, 2 * width, width, width, channels]
    convolutions = zip(plan, plan.dropFirst()).map {
      TransposedConvolution($0, $1, kernel: 4, .halving, using: &random)
    }
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    named([hidden], "hidden") + named([spread], "spread") + named(convolutions, "convolution")
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let flat = spread(hidden(input, on: tape).relu(), on: tape).relu()
    var images = flat.reshaped([input.shape[0], side, side, -1])
    for (n, layer) in convolutions.enumerated() {
      images = layer(n == 0 ? images : images.relu(), on: tape)
    }
    return images
  }
}

extension ConvolutionGeometry {
  /// A 4×4 kernel so laid makes half of a side, and transposed twice.
  fileprivate static let halving = ConvolutionGeometry(stride: 2, padding: 1)
}

/// Parameters of layers by their names; several layers are numbered.
private func named(
  _ layers: [any Layer], _ name: String
) -> [(name: String, parameter: Parameter)] {
  layers.enumerated().flatMap { n, layer in
    layer.parameters.map {
      (layers.count == 1 ? "\(name).\($0.name)" : "\(name).\(n).\($0.name)", $0.parameter)
    }
  }
}
