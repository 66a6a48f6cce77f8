public import Autodiff
import Layers
public import Symmetry
public import TensorCore

/// A learned canonicalizer of point sets for SO(*d*), O(*d*), SE(*d*) and E(*d*), *d* being 2 or 3
/// (Kaba et al., ICML 2023, with vector neurons).
///
/// A vector-neuron network finds vectors that turn with the set; orthonormalized they are the frame,
/// and the mean of the points is its origin. Members' order does not matter.
///
/// The network sees, for each member: its place from the mean, its vectors, both times each number of
/// the member; with `neighbors`, the mean step to its nearest neighbors; and for groups without
/// reflections in space, the vector products of these with its place.
///
/// The margin is the smallest part of a vector that is perpendicular to those before it, as a
/// fraction of the longest vector.
public struct LearnedFrame: PointCanonicalizer {
  public let action, targetAction: PointAction
  public let orthonormalization: Orthonormalization
  /// How many nearest neighbors a member looks at; 0 for none.
  public let neighbors: Int
  /// Whether the network keeps its initial weights.
  public let isFrozen: Bool
  private let network: PoseVectors

  public init(
    _ action: PointAction, targetAction: PointAction? = nil,
    orthonormalization: Orthonormalization = .gramSchmidt, neighbors: Int = 0, width: Int = 16,
    layers: Int = 3, hasBatchNorm: Bool = true, dropout: Float = 0, isFrozen: Bool = false,
    using random: inout RandomStream
  ) {
    precondition((2...3).contains(action.group.dimension), "frames in 2 or 3 dimensions")
    self.action = action
    self.targetAction = targetAction ?? action
    self.orthonormalization = orthonormalization
    self.neighbors = neighbors
    self.isFrozen = isFrozen
    let d = action.group.dimension
    network = PoseVectors(
      LearnedFrame.channelCount(action, neighbors),
      outputs: action.group.hasReflections ? d : d - 1, width: width, layers: layers,
      hasBatchNorm: hasBatchNorm, dropout: dropout, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] { network.parameters }

  private static func channelCount(_ action: PointAction, _ neighbors: Int) -> Int {
    features(of: .zeros([1, max(2, neighbors + 1), action.width]), action, neighbors).shape[3]
  }

  /// The vectors that describe each member, `[batch, members, d, channels]`.
  private static func features(
    of batch: Tensor, _ action: PointAction, _ neighbors: Int
  ) -> Tensor {
    let (count, members) = (batch.shape[0], batch.shape[1])
    let d = action.group.dimension
    let origins = action.origins(of: batch)
    var vectors: [Tensor] = []
    var numbers: [Tensor] = []
    for (kind, values) in action.parts(of: batch) {
      switch kind {
      case .point:
        vectors.append(values - origins)
        if neighbors > 0 { vectors.append(values.meanStepToNeighbors(neighbors)) }
      case .vector: vectors.append(values)
      case .scalars(let count):
        numbers += (0..<count).map { values.sliced($0..<$0 + 1, axis: 2) }
      }
    }
    vectors += numbers.flatMap { number in vectors.map { $0 * number } }
    if d == 3 && !action.group.hasReflections {
      let first = Variable(vectors[0])
      vectors += vectors.dropFirst().map { first.crossed(with: Variable($0), axis: 2).value }
    }
    return .concatenated(vectors.map { $0.reshaped([count, members, d, 1]) }, axis: 3)
  }

  /// The vectors that the network finds, `[batch, d, d]`, or `[batch, d, d − 1]` for a rotation.
  private func vectors(of batch: Tensor, on tape: Tape) -> Variable {
    network(Variable(LearnedFrame.features(of: batch, action, neighbors)), on: tape)
  }

  public func poses(of batch: Tensor) -> [Pose<AffineMap>] {
    poses(of: batch, by: vectors(of: batch, on: .inference()))
  }

  /// Poses of networks that are left when channels are dropped as in training, always the same ones.
  ///
  /// Each turns with the set, so that what is averaged over them is exactly equivariant (a sample of Kim et
  /// al., NeurIPS 2023, arXiv 2306.02866, with the noise held fixed). Weights are the margins: where a frame is
  /// about to jump, and rounding turns it, it counts for nothing (weighted frames, Dym et al., ICML 2024,
  /// arXiv 2402.16077).
  public func frames(of batch: Tensor, count: Int) -> [[WeightedPose<AffineMap>]] {
    var random = RandomStream(seed: 0, name: "frame")
    let features = Variable(LearnedFrame.features(of: batch, action, neighbors))
    let all = (0..<count).map { _ in
      poses(of: batch, by: network.thinned(features, on: .inference(), using: &random))
    }
    return (0..<batch.shape[0]).map { n in
      let margins = all.map { max($0[n].margin, 1e-12) }
      let total = margins.reduce(0, +)
      return zip(all, margins).map { WeightedPose($0[n].element, weight: $1 / total) }
    }
  }

  private func poses(of batch: Tensor, by vectors: Variable) -> [Pose<AffineMap>] {
    let d = action.group.dimension
    let origins = action.origins(of: batch).elements.map { Double($0) }
    let frames = vectors.orthonormalized(by: orthonormalization).value.elements.map { Double($0) }
    return zip(0..., vectors.value.frameMargins).map { n, margin in
      let frame = AffineMap(matrix: Array(frames[n * d * d..<(n + 1) * d * d]))
      return Pose(
        AffineMap(
          matrix: frame.orthogonalFactor.matrix,
          translation: Array(origins[n * d..<(n + 1) * d])), margin: margin)
    }
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let tape = isFrozen ? Tape.inference() : tape
    let frames = vectors(of: batch.value, on: tape).orthonormalized(by: orthonormalization)
    let origins = action.origins(of: batch.value)
    func move(_ values: Variable, _ action: PointAction) -> Variable {
      let parts = action.ranges.map { kind, range -> Variable in
        let part = values.sliced(range, axis: 2)
        return switch kind {
        case .point: (part - Variable(origins)).matmul(frames)
        case .vector: part.matmul(frames)
        case .scalars: part
        }
      }
      return .concatenated(parts, axis: 2)
    }
    let identity = Tensor(action.group.identity.matrix.map { Float($0) })
    let away = frames.reshaped([batch.shape[0], -1]) - Variable(identity)
    return TrainingForms(
      forms: move(batch, action), priorLoss: away.squared().mean([1])
    ) { [targetAction] in move($0, targetAction) }
  }
}

extension Tensor {
  /// For each frame's vectors, the columns of `[batch, d, vectors]`: the shortest part that one adds
  /// to those before it, as a fraction of the longest vector.
  fileprivate var frameMargins: [Float] {
    let (d, count) = (shape[1], shape[2])
    let numbers = elements
    return (0..<shape[0]).map { n in
      var axes: [[Float]] = []
      var (shortest, longest) = (Float.infinity, Float(0))
      for column in 0..<count {
        var vector = (0..<d).map { numbers[(n * d + $0) * count + column] }
        longest = max(longest, vector.length)
        for axis in axes {
          let along = zip(vector, axis).reduce(0) { $0 + $1.0 * $1.1 }
          vector = zip(vector, axis).map { $0 - along * $1 }
        }
        let length = vector.length
        shortest = min(shortest, length)
        axes.append(vector.map { $0 / max(length, 1e-30) })
      }
      return longest > 0 ? shortest / longest : 0
    }
  }
}

extension [Float] {
  fileprivate var length: Float { reduce(0) { $0 + $1 * $1 }.squareRoot() }
}
