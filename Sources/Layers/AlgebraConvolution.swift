public import Autodiff
public import Symmetry
public import TensorCore

/// A convolution of images over a Lie group of affine maps of the plane, carried out in its algebra, with any layer.
///
///     (k ⋆ f)(x) = ∫ k(a) f(N(exp(−â))·x) da,   â = Σ aᵢ Bᵢ,   |aᵢ| ≤ rᵢ
///
/// After McNeela 2023 (*Almost equivariance via Lie algebra convolutions*), whose paper could not be read in full: kernel,
/// window and sampling are reconstructed. The kernel is a network of the coordinates *a*, so that neither a logarithm, nor a Haar measure,
/// nor an `exp` that reaches every element is needed. *N* is a learned map of the group's matrices that starts as
/// the identity; it leads the layer out of what `exp` reaches, as far as the data want.
///
/// A window of radius 0 is the layer itself. A kernel that is constant on a window that is a whole compact group makes the result
/// invariant. What is between is almost so.
public struct AlgebraConvolution: Layer {
  /// How the integral is taken.
  public enum Sampling: String, Sendable, CaseIterable {
    /// By the midpoint rule, in training and after it.
    case grid
    /// In training over tangent vectors that are drawn anew in each step, uniformly, which has the integral as its mean; after it by the
    /// midpoint rule.
    case monteCarlo = "monte-carlo"
  }

  public let group: PlanarAffine
  public let window: AlgebraWindow
  /// *f*: from images to any numbers.
  public let layer: any Layer
  /// *k*, from coordinates `[samples, dimension]` to `[samples, 1]`.
  public let kernel: any Layer
  /// *N*, from changes of maps `[samples, 6]`; `nil` where maps are taken as `exp` gives them.
  public let correction: (any Layer)?
  /// Nodes along each axis of the grid; as many samples are drawn as the grid has nodes.
  public let nodes: Int
  public let sampling: Sampling
  /// Whether weights are positive, of sum 1 (a softmax of the kernel over the samples): a mean over the window, rather than an integral.
  public let isMean: Bool
  /// The most that the kernel differs from 0, which of a mean is the logarithm of a weight: 0 for a constant kernel, infinite for what is
  /// learned as it is.
  public let contrast: Float
  public let border: BorderPolicy

  public init(
    _ group: PlanarAffine, window: AlgebraWindow, layer: any Layer, kernel: any Layer,
    correction: (any Layer)? = nil, nodes: Int = 8, sampling: Sampling = .grid,
    isMean: Bool = true, contrast: Float = .infinity, border: BorderPolicy = .zero
  ) {
    require(
      window.radii.count == group.dimension && nodes > 0,
      "a window \(window.radii) of an algebra of \(group.dimension), with \(nodes) nodes")
    (self.group, self.window, self.layer, self.kernel) = (group, window, layer, kernel)
    (self.correction, self.nodes, self.sampling) = (correction, nodes, sampling)
    (self.isMean, self.contrast, self.border) = (isMean, contrast, border)
  }

  /// With a kernel and a correction that are made: two hidden layers each; the kernel starts constant and *N* as the identity.
  ///
  /// - Parameter isCorrected: Whether there is an *N*.
  public init(
    _ group: PlanarAffine, window: AlgebraWindow, layer: any Layer, hidden: Int = 16,
    isCorrected: Bool = true, nodes: Int = 8, sampling: Sampling = .grid, isMean: Bool = true,
    contrast: Float = .infinity, border: BorderPolicy = .zero, using random: inout RandomStream
  ) {
    self.init(
      group, window: window, layer: layer,
      kernel: Sequential.startingAtZero(group.dimension, hidden, 1, using: &random),
      correction: isCorrected
        ? Sequential.startingAtZero(6, hidden, 6, using: &random) : nil,
      nodes: nodes, sampling: sampling, isMean: isMean, contrast: contrast, border: border)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    layer.parameters.map { ("layer.\($0.name)", $0.parameter) }
      + kernel.parameters.map { ("kernel.\($0.name)", $0.parameter) }
      + (correction?.parameters ?? []).map { ("correction.\($0.name)", $0.parameter) }
  }

  public var structure: [UInt8]? { layer.structure }

  /// The tangent vectors of a pass.
  public func tangents(on tape: Tape) -> [[Double]] {
    let grid = window.grid(nodes)
    guard sampling == .monteCarlo, tape.isTraining else { return grid }
    var random = tape.stream()
    return window.samples(grid.count, using: &random)
  }

  /// Where the copies of some tangent vectors look in an image, `[samples, 6]` (matrix, then shift relative to half the smaller side):
  /// *N*(exp(−â)).
  public func maps(of tangents: [[Double]], on tape: Tape) -> Variable {
    let numbers = tangents.flatMap { a -> [Float] in
      let map = group.exp(a.map { -$0 })
      return (map.matrix + map.translation).map { Float($0) }
    }
    let plain = Variable(Tensor(numbers, shape: [tangents.count, 6]))
    guard let correction else { return plain }
    let identity = Variable(Tensor([1, 0, 0, 1, 0, 0]))
    return plain + correction(plain - identity, on: tape)
  }

  /// The weight of each sample, `[samples]`: of an integral the kernel over the density of samples.
  public func weights(of tangents: [[Double]], on tape: Tape) -> Variable {
    let scaled = tangents.flatMap { a in
      zip(a, window.radii).map { Float($1 > 0 ? $0 / $1 : 0) }
    }
    let coordinates = Tensor(scaled, shape: [tangents.count, group.dimension])
    var values = kernel(Variable(coordinates), on: tape).reshaped([1, tangents.count])
    if contrast < 1e-6 {
      values = values * 0
    } else if contrast.isFinite {
      values = (values * (1 / contrast)).tanh() * contrast
    }
    let weights =
      isMean ? values.softmax() : values * (Float(window.volume) / Float(tangents.count))
    return weights.reshaped([tangents.count])
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let tangents = tangents(on: tape)
    guard input.shape[0] > 0 else { return layer(input, on: tape) }
    let results = layer(copies(of: input, tangents, on: tape), on: tape)
    let (rest, count) = (Array(results.shape.extents.dropFirst()), tangents.count)
    let weights = weights(of: tangents, on: tape).reshaped([1, count, 1])
    return (results.reshaped([-1, count, rest.reduce(1, *)]) * weights).sum([1])
      .reshaped([-1] + rest)
  }

  /// Every image under every map, an image's copies together.
  private func copies(of input: Variable, _ tangents: [[Double]], on tape: Tape) -> Variable {
    let half = Float(min(input.shape[1], input.shape[2])) / 2
    let scale = Variable(Tensor([1, 1, 1, 1, half, half]))
    let maps = maps(of: tangents, on: tape) * scale
    let (batch, count) = (input.shape[0], tangents.count)
    guard maps.requiresGradient else {
      let numbers = maps.value.elements.map { Double($0) }
      return input.warped(
        byEach: (0..<count).map {
          SamplingMap(
            matrix: Array(numbers[6 * $0..<6 * $0 + 4]),
            offset: Array(numbers[6 * $0 + 4..<6 * $0 + 6]))
        }, border: border)
    }
    let shape = Array(input.shape.extents.dropFirst())
    let all = (maps.reshaped([1, count, 6]) + Variable(.zeros([batch, 1, 1])))
      .reshaped([batch * count, 6])
    let repeated =
      input.reshaped([batch, 1] + shape)
      + Variable(.zeros(Shape([1, count] + shape.map { _ in 1 })))
    return repeated.reshaped([batch * count] + shape).warped(by: all, border: border)
  }
}

extension Sequential {
  /// Two hidden layers with `tanh`, and a last one that starts at 0.
  static func startingAtZero(
    _ inputs: Int, _ hidden: Int, _ outputs: Int, using random: inout RandomStream
  ) -> Sequential {
    let last = Linear(hidden, outputs, using: &random)
    last.weight.value = .zeros(last.weight.value.shape)
    last.bias.value = .zeros(last.bias.value.shape)
    return Sequential([
      Linear(inputs, hidden, using: &random), Function { $0.tanh() },
      Linear(hidden, hidden, using: &random), Function { $0.tanh() }, last,
    ])
  }
}
