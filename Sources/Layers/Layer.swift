public import Autodiff
public import TensorCore

/// A part of a model: a function of one variable with parameters.
public protocol Layer: Sendable {
  /// The result for an input, on a pass that learns or predicts.
  func callAsFunction(_ input: Variable, on tape: Tape) -> Variable

  /// The parameters with names that are unique within the layer.
  var parameters: [(name: String, parameter: Parameter)] { get }

  /// What a model file has to carry of it beside settings and weights; `nil` for a layer that these make.
  var structure: [UInt8]? { get }
}

extension Layer {
  public var structure: [UInt8]? { nil }
  public var parameters: [(name: String, parameter: Parameter)] { [] }

  /// How many numbers training changes.
  public var trainableCount: Int {
    parameters.filter(\.parameter.isTrainable).map(\.parameter.value.shape.count).reduce(0, +)
  }

  /// The result for a tensor, without recording.
  public func predict(_ input: Tensor) -> Tensor {
    callAsFunction(Variable(input), on: .inference()).value
  }
}

/// Layers one after another.
public struct Sequential: Layer {
  /// The layers in order.
  public let layers: [any Layer]
  /// For each layer that is a convolution with a batch norm after it: both as one, for inference.
  private let folded: [Derived<PreparedConvolution>?]

  public init(_ layers: [any Layer]) {
    self.layers = layers
    folded = layers.indices.map { index in
      guard let convolution = layers[index] as? Convolution, index + 1 < layers.count else {
        return nil
      }
      return (layers[index + 1] as? BatchNorm).map(convolution.folded)
    }
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    layers.enumerated().flatMap { index, layer in
      layer.parameters.map { ("\(index).\($0.name)", $0.parameter) }
    }
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    var (result, next) = (input, 0)
    while next < layers.count {
      // In inference a convolution takes the batch norm after it into its weights; where a gradient is to flow
      // through, both are done in turn.
      if !tape.isTraining, !result.requiresGradient, let convolution = folded[next] {
        result = Variable(convolution.value(result.value))
        next += 2
      } else if tape.isTraining, folded[next] != nil,
        let convolution = layers[next] as? Convolution,
        let norm = layers[next + 1] as? BatchNorm
      {
        // In training the convolution takes the moments while its result is in cache.
        let (features, moments) = result.convolvedWithMoments(
          with: tape(convolution.weight), bias: convolution.bias.map { tape($0) },
          convolution.geometry)
        // What the convolution saw is free while the norm computes.
        result = features
        result = norm.normalized(result, moments: moments, on: tape)
        next += 2
      } else {
        result = layers[next](result, on: tape)
        next += 1
      }
    }
    return result
  }
}

/// A layer without parameters, from a function of a variable.
public struct Function: Layer {
  private let body: @Sendable (Variable) -> Variable

  public init(_ body: @escaping @Sendable (Variable) -> Variable) { self.body = body }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable { body(input) }

  /// max(*x*, 0).
  public static var relu: Function { Function { $0.relu() } }

  /// All axes but the batch in one.
  public static var flatten: Function { Function { $0.reshaped([$0.shape[0], -1]) } }

  /// The maximum over windows of `size` × `size` pixels without overlap.
  public static func maxPool(_ size: Int) -> Function { Function { $0.maxPooled(size: size) } }

  /// The mean over windows of `size` × `size` pixels without overlap.
  public static func averagePool(_ size: Int) -> Function {
    Function { $0.averagePooled(size: size) }
  }

  /// The mean over all pixels: `[batch, height, width, channels]` → `[batch, channels]`.
  public static var globalAveragePool: Function { Function { $0.mean([1, 2]) } }
}

extension Tensor {
  /// Weights drawn from 𝒰(−*k*, *k*) with *k* = √(`gain`² · 3 / `fanIn`).
  ///
  /// A gain of √2 is He's initialization for layers before a ReLU (arXiv 1502.01852); 1/√3 is
  /// PyTorch's default for linear and convolution layers.
  static func initialWeights(
    _ shape: Shape, fanIn: Int, gain: Float, using random: inout RandomStream
  ) -> Tensor {
    let bound = gain * (3 / Float(max(1, fanIn))).squareRoot()
    return .uniform(shape, from: -bound, to: bound, using: &random)
  }
}

/// The gain of PyTorch's default initializer.
let defaultGain: Float = 0.577_350_27
