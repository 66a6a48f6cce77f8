import Autodiff
import Layers
import Symmetry
import TensorCore

/// The shape of the network by which a learned canonicalizer scores the elements of its group.
public struct ScoringArchitecture: Sendable, Hashable {
  /// The side and channels of its input.
  public var size, inputChannels: Int
  /// The kernel of the lifting convolution; `size` makes a matched filter of a single layer.
  public var kernel: Int
  /// The kernel of the group convolutions after it.
  public var groupKernel: Int
  /// Channels per group element, in every layer.
  public var channels: Int
  /// How many convolutions there are.
  public var layers: Int
  /// Whether group batch norm follows every convolution but the last.
  public var hasBatchNorm: Bool

  public init(
    size: Int, inputChannels: Int = 1, kernel: Int, groupKernel: Int = 1, channels: Int = 1,
    layers: Int = 1, hasBatchNorm: Bool = true
  ) {
    self.size = size
    self.inputChannels = inputChannels
    self.kernel = kernel
    self.groupKernel = groupKernel
    self.channels = channels
    self.layers = layers
    self.hasBatchNorm = hasBatchNorm
  }
}

/// A lifting convolution and group convolutions, whose features' mean over channels and positions
/// scores each element.
///
/// Nothing is computed that the mean would undo: the mean over channels goes into the last layer's
/// filters, and where its kernel is a single pixel the mean over positions comes before it, so that
/// it is one small matrix product.
struct ScoringNetwork<Group: FiniteGroup & PlanarGroup>: Sendable {
  private let order: Int
  private let architecture: ScoringArchitecture
  private let lifting: LiftingConvolution<Group>
  private let convolutions: [GroupConvolution<Group>]
  /// After every convolution but the last; empty without batch norm.
  private let norms: [GroupBatchNorm]
  /// The filters and biases for inference.
  private let folded: Derived<Filters>

  private struct Filters: Sendable {
    var hidden, biases: [Tensor]
    var last: Tensor
    /// The lifting's, on a group that has half turns.
    var opposites: OppositeFilters?
  }

  /// - Precondition: The kernels fit into the image.
  init(_ group: Group, _ architecture: ScoringArchitecture, using random: inout RandomStream) {
    let a = architecture
    require(
      a.layers > 0 && a.kernel + (a.layers - 1) * (a.groupKernel - 1) <= a.size,
      "\(a.layers) layers with kernels \(a.kernel), \(a.groupKernel) on images of \(a.size)")
    let lifting = LiftingConvolution(
      group, a.inputChannels, a.channels, kernel: a.kernel, using: &random)
    // The last one is averaged over its channels, and small.
    let convolutions = (1..<a.layers).map { layer in
      GroupConvolution(
        group, a.channels, a.channels, kernel: a.groupKernel,
        usesFourierTransform: layer == a.layers - 1 ? false : nil, using: &random)
    }
    let norms = (1..<a.layers).filter { _ in a.hasBatchNorm }.map { _ in
      GroupBatchNorm(a.channels, relu: true)
    }
    (self.lifting, self.convolutions, self.norms) = (lifting, convolutions, norms)
    (self.architecture, order) = (architecture, group.order)
    folded = Derived(
      from: ScoringNetwork.parameters(lifting, convolutions, norms).map(\.parameter)
    ) { [order = group.order] in
      let (hidden, last) = ScoringNetwork.operands(lifting, convolutions, on: .inference())
      let maps = norms.map(\.inferenceMap)
      func tiled(_ perChannel: Tensor, _ count: Int) -> Tensor {
        .concatenated([Tensor](repeating: perChannel, count: count))
      }
      let scaled = hidden.enumerated().map { i, operand in
        let scale = maps.isEmpty ? nil : maps[i].scale
        return scale.map { operand.value * tiled($0, operand.shape[-1] / $0.shape[0]) }
          ?? operand.value
      }
      return Filters(
        hidden: scaled, biases: maps.map { tiled($0.shift, order) }, last: last.value,
        // Of rotations alone, or of those and of the reflections.
        opposites: scaled.first.flatMap { OppositeFilters($0) ?? OppositeFilters($0, blocks: 2) })
    }
  }

  var parameters: [(name: String, parameter: Parameter)] {
    ScoringNetwork.parameters(lifting, convolutions, norms)
  }

  private static func parameters(
    _ lifting: LiftingConvolution<Group>, _ convolutions: [GroupConvolution<Group>],
    _ norms: [GroupBatchNorm]
  ) -> [(name: String, parameter: Parameter)] {
    var layers: [any Layer] = [lifting]
    for (i, convolution) in convolutions.enumerated() {
      layers.append(norms.isEmpty ? Function.relu : norms[i])
      layers.append(convolution)
    }
    return Sequential(layers).parameters
  }

  /// What the layers take beside features: of those before the last one, and the last one's filters, whose outputs are the mean over
  /// each element's channels.
  private static func operands(
    _ lifting: LiftingConvolution<Group>, _ convolutions: [GroupConvolution<Group>], on tape: Tape
  ) -> (hidden: [Variable], last: Variable) {
    guard let final = convolutions.last else {
      let filters = lifting.filters(on: tape)
      let s = filters.shape
      let order = lifting.group.order
      return ([], filters.reshaped([s[0], s[1], s[2], order, s[3] / order]).mean([4]))
    }
    return (
      [lifting.filters(on: tape)] + convolutions.dropLast().map { $0.operand(on: tape) },
      final.filters(of: tape(final.weight).mean([4], keepingAxes: true))
    )
  }

  /// The scores, `[batch, order]`.
  func scores(_ images: Variable, on tape: Tape) -> Variable {
    Profiler.labeled("scores of \(order) poses") { computedScores(images, on: tape) }
  }

  private func computedScores(_ images: Variable, on tape: Tape) -> Variable {
    guard tape.isTraining else {
      let filters = folded.value
      return scores(
        images, filters.hidden.map { Variable($0) }, filters.biases.map { Variable($0) },
        Variable(filters.last),
        images.requiresGradient || images.isTraced ? nil : filters.opposites)
    }
    let (hidden, last) = ScoringNetwork.operands(lifting, convolutions, on: tape)
    guard !norms.isEmpty else { return scores(images, hidden, [], last, nil) }
    // A batch norm sees the whole batch.
    var features = images
    for (i, norm) in norms.enumerated() {
      features = norm(layer(i, hidden[i], features), on: tape)
    }
    return ScoringNetwork.scored(features, last)
  }

  /// A layer before the last one.
  ///
  /// - Parameter opposites: By which the first one is computed, without gradients.
  private func layer(
    _ i: Int, _ operand: Variable, _ features: Variable, bias: Variable? = nil, relu: Bool = false,
    opposites: OppositeFilters? = nil
  ) -> Variable {
    if i == 0, let opposites {
      return Variable(opposites.convolved(features.value, bias: bias?.value, relu: relu))
    }
    return i == 0
      ? features.convolved(with: operand, bias: bias, relu: relu)
      : convolutions[i - 1].apply(operand, to: features, bias: bias, relu: relu)
  }

  /// The scores where no layer looks beyond a single image: a few images at a time, in cache.
  private func scores(
    _ images: Variable, _ hidden: [Variable], _ biases: [Variable], _ last: Variable,
    _ opposites: OppositeFilters?
  ) -> Variable {
    guard !hidden.isEmpty else { return ScoringNetwork.scored(images, last) }
    let (count, hasBias, isPointwise) = (hidden.count, !biases.isEmpty, last.shape[0] == 1)
    let weights = hidden + biases + (isPointwise ? [] : [last])
    let side = architecture.size - architecture.kernel + 1
    let perImage = side * side * order * architecture.channels
    let results = images.recomputed(
      with: weights, members: max(1, 300_000 / perImage)
    ) { images, weights in
      var features = images
      for i in 0..<count {
        let bias = hasBias ? weights[count + i] : nil
        if isPointwise && 0 < i && i == count - 1 {
          return convolutions[i - 1].averaged(weights[i], over: features, bias: bias, relu: true)
        }
        features = layer(i, weights[i], features, bias: bias, relu: true, opposites: opposites)
      }
      return isPointwise
        ? features.meanOverPositions() : ScoringNetwork.scored(features, weights[weights.count - 1])
    }
    return isPointwise ? ScoringNetwork.product(results, last) : results
  }

  /// The last layer and the mean over positions.
  private static func scored(_ features: Variable, _ last: Variable) -> Variable {
    let s = last.shape
    return s[0] == 1 && s[1] == 1
      ? product(features.meanOverPositions(), last)
      : features.convolved(with: last).meanOverPositions()
  }

  /// Means over positions, `[batch, channels]`, times the last layer.
  ///
  /// In a prediction an image at a time: its last digits hang on how many rows are multiplied together.
  private static func product(_ means: Variable, _ last: Variable) -> Variable {
    let (count, channels, order) = (means.shape[0], last.shape[2], last.shape[3])
    guard !means.requiresGradient && !last.requiresGradient else {
      return means.matmul(last.reshaped([channels, order]))
    }
    return means.reshaped([count, 1, channels]).matmul(last.reshaped([1, channels, order]))
      .reshaped([count, order])
  }
}

extension Variable {
  /// `[batch, height, width, channels]` → `[batch, channels]`.
  fileprivate func meanOverPositions() -> Variable {
    reshaped([shape[0], shape[1] * shape[2], shape[3]]).mean([1])
  }
}
