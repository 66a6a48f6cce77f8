public import Autodiff
public import Symmetry
public import TensorCore

/// The lifting convolution: images to functions on a group, by correlating them with every
/// transformed copy of a few filters (Cohen & Welling 2016, arXiv 1602.07576).
///
/// Copies at angles between quarter turns are sampled bilinearly from the filter.
///
/// **Shapes.** `[batch, height, width, inputs]` → `[batch, outHeight, outWidth, order · channels]`,
/// the group's axis before the channels'; `weight` `[kernel, kernel, inputs, channels]`.
///
/// **Law.** The feature at *g*·*h* of a turned image *g*·*x* is the turned feature at *h* of *x*:
/// to rounding for quarter turns, to interpolation otherwise.
public struct LiftingConvolution<Group: FiniteGroup & PlanarGroup>: Layer {
  public let group: Group
  public let weight: Parameter
  public let padding: Int

  public init(
    _ group: Group, _ inputs: Int, _ channels: Int, kernel: Int, padding: Int = 0,
    using random: inout RandomStream
  ) {
    self.group = group
    self.padding = padding
    weight = Parameter(
      .initialWeights(
        [kernel, kernel, inputs, channels], fanIn: kernel * kernel * inputs, gain: defaultGain,
        using: &random))
  }

  public var parameters: [(name: String, parameter: Parameter)] { [("weight", weight)] }

  /// The filters under every element, the kernel of a plain convolution,
  /// `[kernel, kernel, inputs, order · channels]`.
  public func filters(on tape: Tape) -> Variable {
    let w = tape(weight)
    let (k, inputs, channels) = (w.shape[0], w.shape[2], w.shape[3])
    let copies = w.reshaped([1, k, k, inputs * channels])
      .gathered([Int](repeating: 0, count: group.order))
    return copies.turned(by: group.elements.map(group.isometry))
      .reshaped([group.order, k, k, inputs, channels])
      .permuted([1, 2, 3, 0, 4]).reshaped([k, k, inputs, group.order * channels])
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    input.convolved(with: filters(on: tape), ConvolutionGeometry(padding: padding))
  }
}

/// The group convolution: functions on a group to functions on a group.
///
///     y[r] = Σₛ (r·W[r⁻¹ s]) ⋆ x[s]
///
/// One of single pixels is computed by the group's Fourier transform where that is faster.
///
/// **Shapes.** `[batch, height, width, order · inputs]` → `[…, order · channels]`; `weight`
/// `[order, kernel, kernel, inputs, channels]`, the first axis being *r*⁻¹*s*.
public struct GroupConvolution<Group: FiniteGroup & PlanarGroup>: Layer {
  public let group: Group
  public let weight: Parameter
  public let padding: Int
  /// By which it is computed, where that is faster.
  private let transform: GroupFourierTransform?

  /// - Parameter usesFourierTransform: Whether the group's Fourier transform is used where there is one; `nil`: where it is faster, as measured.
  public init(
    _ group: Group, _ inputs: Int, _ channels: Int, kernel: Int = 1, padding: Int = 0,
    usesFourierTransform: Bool? = nil, using random: inout RandomStream
  ) {
    self.group = group
    self.padding = padding
    // From where on it was faster, with gradients and without (make bench-speed, "Convolutions on a group").
    let fewest = min(inputs, channels)
    let isFaster = group.order >= 4 && fewest >= 8 && group.order * fewest >= 64
    let isUsed = usesFourierTransform ?? isFaster
    transform = isUsed && kernel == 1 && padding == 0 ? GroupFourierTransform(group) : nil
    weight = Parameter(
      .initialWeights(
        [group.order, kernel, kernel, inputs, channels],
        fanIn: group.order * kernel * kernel * inputs, gain: Float(2).squareRoot(), using: &random))
  }

  public var parameters: [(name: String, parameter: Parameter)] { [("weight", weight)] }

  /// The filters of every element for every other, the kernel of a plain convolution,
  /// `[kernel, kernel, order · inputs, order · channels]`.
  public func filters(on tape: Tape) -> Variable { filters(of: tape(weight)) }

  /// The same of a weight of any number of channels.
  public func filters(of w: Variable) -> Variable {
    let (n, k, inputs, channels) = (group.order, w.shape[1], w.shape[3], w.shape[4])
    let elements = group.elements
    let relative = elements.flatMap { r in
      elements.map { group.index(of: group.compose(group.inverse(r), $0)) }
    }
    var copies = w.reshaped([n, k, k, inputs * channels]).gathered(relative)
    if k > 1 {
      copies = copies.turned(
        by: elements.flatMap { [PlanarIsometry](repeating: group.isometry($0), count: n) })
    }
    return copies.reshaped([n, n, k, k, inputs, channels])  // r, s, …
      .permuted([2, 3, 1, 4, 0, 5]).reshaped([k, k, n * inputs, n * channels])
  }

  /// What `apply` takes: the plain kernel, or the blocks of the Fourier transform; the channels are its last axis, once for each
  /// element, or for both parts of a block.
  public func operand(on tape: Tape) -> Variable {
    guard let transform else { return filters(on: tape) }
    let w = tape(weight)
    return transform.spectrum(of: w.reshaped([group.order, w.shape[3], w.shape[4]]))
  }

  /// The convolution with an operand that was made before, clamped at zero if `relu`.
  public func apply(
    _ operand: Variable, to input: Variable, bias: Variable? = nil, relu: Bool = false
  ) -> Variable {
    Profiler.labeled("group convolution of order \(group.order)") {
      guard let transform else {
        return input.convolved(
          with: operand, bias: bias, relu: relu, ConvolutionGeometry(padding: padding))
      }
      return transform.convolved(input, with: operand, bias: bias, relu: relu)
    }
  }

  /// The mean of `apply` over the positions of each image: without gradients the positions' own results are not held.
  ///
  /// **Shapes.** `[batch, height, width, order · inputs]` → `[batch, order · channels]`.
  public func averaged(
    _ operand: Variable, over input: Variable, bias: Variable? = nil, relu: Bool = false
  ) -> Variable {
    let needsGradient = [operand, input, bias].contains { $0?.requiresGradient == true }
    guard let transform, !needsGradient, !input.isTraced else {
      return apply(operand, to: input, bias: bias, relu: relu).mean([1, 2])
    }
    return Profiler.labeled("group convolution of order \(group.order)") {
      Variable(transform.averaged(input.value, with: operand.value, bias: bias?.value, relu: relu))
    }
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    apply(operand(on: tape), to: input)
  }
}

/// Batch normalization of functions on a group: one mean and variance per channel, over the group
/// too, so that the layer commutes with the group.
public struct GroupBatchNorm: Layer {
  private let norm: BatchNorm
  private let channels: Int

  public init(_ channels: Int, relu: Bool = false) {
    norm = BatchNorm(channels, relu: relu)
    self.channels = channels
  }

  public var parameters: [(name: String, parameter: Parameter)] { norm.parameters }

  /// What the layer is in inference: *x* · scale + shift per channel, the same for every element.
  public var inferenceMap: (scale: Tensor, shift: Tensor) { norm.inferenceMap }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    norm(input.reshaped([-1, channels]), on: tape).reshaped(input.shape.extents)
  }
}

extension Variable {
  /// Filters turned about their center, each by an isometry of its own.
  fileprivate func turned(by isometries: [PlanarIsometry]) -> Variable {
    let maps = isometries.map(\.samplingMap)
    let matrices = Tensor(
      maps.flatMap { $0.matrix.map { Float($0) } }, shape: [maps.count, 4])
    return warped(by: Variable(matrices), exact: maps)
  }
}
