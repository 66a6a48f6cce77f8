public import Autodiff
import Layers
public import Settings
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
  public let action: PointAction
  public let orthonormalization: Orthonormalization
  /// How many nearest neighbors a member looks at; 0 for none.
  public let neighbors: Int
  private let network: PoseVectors

  public init(
    _ action: PointAction,
    orthonormalization: Orthonormalization = .gramSchmidt, neighbors: Int = 0, width: Int = 16,
    layers: Int = 3, hasBatchNorm: Bool = true, dropout: Float = 0,
    using random: inout RandomStream
  ) {
    require((2...3).contains(action.group.spaceDimension), "frames in 2 or 3 dimensions")
    self.action = action
    self.orthonormalization = orthonormalization
    self.neighbors = neighbors
    let d = action.group.spaceDimension
    network = PoseVectors(
      LearnedFrame.channelCount(action, neighbors),
      outputs: action.group.hasReflections ? d : d - 1, width: width, layers: layers,
      hasBatchNorm: hasBatchNorm, dropout: dropout, using: &random)
  }

  public var parameters: [(name: String, parameter: Parameter)] { network.parameters }

  private static func channelCount(_ action: PointAction, _ neighbors: Int) -> Int {
    features(
      of: Variable(.zeros([1, max(2, neighbors + 1), action.width])), action, neighbors
    ).shape[3]
  }

  /// The vectors that describe each member, `[batch, members, d, channels]`.
  private static func features(
    of batch: Variable, _ action: PointAction, _ neighbors: Int
  ) -> Variable {
    let members = batch.shape[1]
    let d = action.group.spaceDimension
    let origins = action.origins(of: batch)
    var vectors: [Variable] = []
    var numbers: [Variable] = []
    for (kind, values) in action.parts(of: batch) {
      switch kind {
      case .point:
        vectors.append(origins.map { values - $0 } ?? values)
        if neighbors > 0 {
          vectors.append(
            values.isTraced
              ? values.meanStepToNeighbors(neighbors)
              : Variable(values.value.meanStepToNeighbors(neighbors)))
        }
      case .vector: vectors.append(values)
      case .scalars(let count):
        numbers += (0..<count).map { values.sliced($0..<$0 + 1, axis: 2) }
      }
    }
    vectors += numbers.flatMap { number in vectors.map { $0 * number } }
    if d == 3 && !action.group.hasReflections {
      let first = vectors[0]
      vectors += vectors.dropFirst().map { first.crossed(with: $0, axis: 2) }
    }
    return .concatenated(vectors.map { $0.reshaped([-1, members, d, 1]) }, axis: 3)
  }

  /// The vectors that the network finds, `[batch, d, d]`, or `[batch, d, d − 1]` for a rotation.
  private func vectors(of batch: Variable, on tape: Tape) -> Variable {
    network(LearnedFrame.features(of: batch, action, neighbors), on: tape)
  }

  public func poses(of batch: Tensor) -> [Pose<AffineMap>] {
    poses(of: batch, by: vectors(of: Variable(batch), on: .inference()))
  }

  /// Poses of networks that are left when channels are dropped as in training, always the same ones.
  ///
  /// Each turns with the set, so that what is averaged over them is exactly equivariant (a sample of Kim et
  /// al., NeurIPS 2023, arXiv 2306.02866, with the noise held fixed). Weights are the margins: where a frame is
  /// about to jump, and rounding turns it, it counts for nothing (weighted frames, Dym et al., ICML 2024,
  /// arXiv 2402.16077).
  public func frames(of batch: Tensor, count: Int) -> [[WeightedPose<AffineMap>]] {
    var random = RandomStream(seed: 0, name: "frame")
    let features = LearnedFrame.features(of: Variable(batch), action, neighbors)
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
    let d = action.group.spaceDimension
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
    let frames = vectors(of: Variable(batch.value), on: tape).orthonormalized(
      by: orthonormalization)
    let (origins, d) = (action.origins(of: batch.value), action.group.spaceDimension)
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
    let inverses = zip(frames.value.elements.chunked(d * d), origins.elements.chunked(d)).map {
      let turn = AffineMap(matrix: $0.map { Double($0) }).transposed
      return Motion(
        map: AffineMap(
          matrix: turn.matrix, translation: turn.linear($1.map { Double($0) }).map { -$0 }),
        isOrthogonal: true)
    }
    let identity = Tensor(action.group.identity.matrix.map { Float($0) })
    let away = frames.reshaped([batch.shape[0], -1]) - Variable(identity)
    return TrainingForms(
      forms: move(batch, action), priorLoss: away.squared().mean([1])
    ) { quantity, values in
      guard let members = quantity as? Members else {
        return Variable(quantity.act(inverses, on: values.value))
      }
      return move(values, members.action)
    }
  }
}

extension LearnedFrame: ExportableCanonicalizer {
  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    try pose(of: batch, vectors(of: batch, on: tape))
  }

  /// Networks that are left when channels are dropped, as in `frames(of:count:)`.
  public func frameVariables(
    of batch: Variable, count: Int, on tape: Tape
  ) throws(NotExportable) -> [(pose: PoseVariables, weight: Variable)] {
    var random = RandomStream(seed: 0, name: "frame")
    let features = LearnedFrame.features(of: batch, action, neighbors)
    var poses: [PoseVariables] = []
    for _ in 0..<count {
      poses.append(
        try pose(of: batch, network.thinned(features, on: tape, using: &random)))
    }
    let least = Variable(Tensor(1e-12))
    let weights = poses.map { pose -> Variable in
      let margin = pose.margin ?? batch.zeroPerMember
      return Variable.choose(margin.isGreater(than: least), margin, least).reshaped([-1, 1])
    }
    let total = weights.dropFirst().reduce(weights[0], +)
    return zip(poses, weights).map { ($0, $1 / total) }
  }

  private func pose(
    of batch: Variable, _ vectors: Variable
  ) throws(NotExportable) -> PoseVariables {
    guard orthonormalization == .gramSchmidt else {
      throw NotExportable(
        "'orthonormalization: \(orthonormalization.rawValue)' is not exported: the nearest frame is found by steps that depend on the numbers; 'gram-schmidt' is."
      )
    }
    return PoseVariables(
      matrix: vectors.orthonormalized(by: orthonormalization),
      translation: action.origins(of: batch)?.reshaped([-1, action.group.spaceDimension]),
      margin: vectors.frameMargins)
  }
}

extension Variable {
  /// As `Tensor.frameMargins`, `[batch]`.
  fileprivate var frameMargins: Variable {
    var axes: [Variable] = []
    var (shortest, longest): (Variable?, Variable?)
    for column in 0..<shape[2] {
      var vector = sliced(column..<column + 1, axis: 2).reshaped([-1, shape[1]])
      func length() -> Variable { vector.squared().sum([1], keepingAxes: true).squareRoot() }
      let whole = length()
      longest = longest.map { -Variable.smaller(-$0, -whole) } ?? whole
      for axis in axes {
        vector = vector - (vector * axis).sum([1], keepingAxes: true) * axis
      }
      let rest = length()
      shortest = shortest.map { Variable.smaller($0, rest) } ?? rest
      axes.append(vector.divided(by: rest, orElse: 0))
    }
    guard let shortest, let longest else { return zeroPerMember.reshaped([-1]) }
    return shortest.divided(by: longest, orElse: 0).reshaped([-1])
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
  fileprivate func chunked(_ size: Int) -> [ArraySlice<Float>] {
    stride(from: 0, to: count, by: size).map { self[$0..<$0 + size] }
  }

  fileprivate var length: Float { reduce(0) { $0 + $1 * $1 }.squareRoot() }
}

/// The settings of `{kind: vector-neurons}`.
public struct VectorNeuronOptions: CanonicalizerOptions {
  public static let kind = "vector-neurons"
  public static let summary =
    "A network of vector neurons finds a frame that turns with a set of points."
  public static let isLearned = true
  public var group = ""
  public var channels = 16
  public var layers = 3
  /// By default where members are nothing but points.
  public var batchNorm: Bool?
  public var neighbors = 0
  public var dropout: Float = 0
  public var orthonormalization = Orthonormalization.gramSchmidt
  public var average = 1
  public var prior: Float = 0
  public var teaching: [String] {
    (prior > 0 ? ["prior"] : []) + (dropout > 0 ? ["dropout"] : [])
  }

  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let sets = try keys.sets(domain, Self.kind)
    guard (2...3).contains(sets.dimension) else {
      throw keys.failure("'\(Self.kind)' is for 2 or 3 dimensions, not \(sets.dimension)")
    }
    try keys.readEuclideanGroup(&group, sets)
    try keys.read("channels", &channels, in: 1...1024, "channels of each layer")
    try keys.read("layers", &layers, in: 1...16, "how many layers")
    var hasBatchNorm = batchNorm ?? (sets.columns == [.point])
    try keys.read("batchNorm", &hasBatchNorm, "batch norm between layers")
    batchNorm = hasBatchNorm
    try keys.read("neighbors", &neighbors, in: 0...64, "how many nearest points each looks at")
    try keys.read(
      "dropout", &dropout, in: 0...0.9,
      "shakes the frame in training, so that the backbone does not learn poses by heart")
    try keys.read("orthonormalization", &orthonormalization, "how vectors become a frame")
    try keys.read("prior", &prior, in: 0...1e4, "weight of the loss towards the identity")
    if dropout > 0 || keys.lists {
      try keys.read("average", &average, in: 1...256, "average outputs over so many shaken frames")
    }
    if neighbors >= sets.members {
      throw keys.failure("\(neighbors) 'neighbors' of \(sets.members) points")
    }
    try keys.refuse(weights: channels, channels, 9)
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let sets = try build.sets(Self.kind)
    var random = build.random()
    return LearnedFrame(
      sets.action(group), orthonormalization: orthonormalization, neighbors: neighbors,
      width: channels, layers: layers, hasBatchNorm: batchNorm ?? true, dropout: dropout,
      using: &random)
  }
}
