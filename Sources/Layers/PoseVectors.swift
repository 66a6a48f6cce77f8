public import Autodiff
public import TensorCore

/// A vector-neuron network from vectors at the members of a set to a few vectors of the set.
///
/// Each layer mixes a member's channels and the mean over all members, then applies a vector rectifier; the last mean
/// is the result. Members' order does not matter, and a turn of all vectors turns the result.
///
/// **Shapes.** `[batch, members, d, inputs]` → `[batch, d, outputs]`.
public struct PoseVectors: Layer {
  private let own, shared: [VectorLinear]
  private let bends: [VectorLeakyReLU]
  private let norms: [VectorBatchNorm]
  private let head: VectorLinear
  private let dropout: Float

  /// Creates a network with random weights.
  ///
  /// In training, the fraction `dropout` of a set's channels is zeroed after each layer: it shakes the result,
  /// and keeps what comes after from learning single poses by heart. All members lose the same channels, so
  /// that what is left is a network of the same kind.
  public init(
    _ inputs: Int, outputs: Int, width: Int = 16, layers: Int = 3, hasBatchNorm: Bool = true,
    dropout: Float = 0, using random: inout RandomStream
  ) {
    let widths = [inputs] + [Int](repeating: width, count: layers)
    var (own, shared, bends): ([VectorLinear], [VectorLinear], [VectorLeakyReLU]) = ([], [], [])
    for (from, to) in zip(widths, widths.dropFirst()) {
      own.append(VectorLinear(from, to, using: &random))
      shared.append(VectorLinear(from, to, using: &random))
      bends.append(VectorLeakyReLU(to, using: &random))
    }
    (self.own, self.shared, self.bends) = (own, shared, bends)
    self.dropout = dropout
    norms = hasBatchNorm ? (0..<layers).map { _ in VectorBatchNorm(width) } : []
    head = VectorLinear(widths[layers], outputs, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    let groups: [(String, [any Layer])] = [
      ("own", own), ("shared", shared), ("bends", bends), ("norms", norms), ("head", [head]),
    ]
    return groups.flatMap { name, layers in
      layers.enumerated().flatMap { i, layer in
        layer.parameters.map { ("\(name).\(i).\($0.name)", $0.parameter) }
      }
    }
  }

  public func callAsFunction(_ input: Variable, on tape: Tape) -> Variable {
    let rows = input.shape[0]
    return vectors(of: input, on: tape) { channels in
      tape.isTraining && dropout > 0 ? tape.uniform([rows, 1, 1, channels]) : nil
    }
  }

  /// The result of the network that is left when some channels are dropped, the same for all sets.
  ///
  /// It turns with the set as the whole network's does: several such are a frame.
  public func thinned(_ input: Variable, on tape: Tape, using random: inout RandomStream)
    -> Variable
  {
    vectors(of: input, on: tape) { channels in .uniform([1, 1, 1, channels], using: &random) }
  }

  /// - Parameter draw: Gives, for so many channels, numbers in 0…1: those below `dropout` are dropped.
  private func vectors(
    of input: Variable, on tape: Tape, _ draw: (Int) -> Tensor?
  ) -> Variable {
    var vectors = input
    for i in own.indices {
      let mean = shared[i](vectors.mean([1], keepingAxes: true), on: tape)
      vectors = own[i](vectors, on: tape) + mean
      if !norms.isEmpty { vectors = norms[i](vectors, on: tape) }
      vectors = bends[i](vectors, on: tape)
      if let drawn = draw(vectors.shape[3]) {
        vectors = vectors * Variable((drawn - dropout).step() * (1 / (1 - dropout)))
      }
    }
    return head(vectors.mean([1]), on: tape)
  }
}
