public import Autodiff
public import Layers
public import Settings
public import Symmetry
public import TensorCore

/// A learned canonicalizer without an equivariant network: any network looks at every transformed
/// copy of an image, and the copy that it likes best is the form (Panigrahi & Mondal, Improved
/// Canonicalization for Model Agnostic Equivariance, 2024, arXiv 2405.14089).
///
/// The score of *g* is the product of the features *f*(*g*⁻¹·*x*) with a reference vector. Its law
/// follows from the search alone: the orbit of *g*·*x* is that of *x*, relabeled.
public struct OrbitCanonicalizer<Group: FiniteGroup & PlanarGroup>: ScoringCanonicalizer {
  public typealias PoseGroup = Group
  public let action: ImageAction<Group>
  public let gradient: PoseGradient
  public let temperature: Float
  /// From images to features, `[batch, height, width, channels]` → `[batch, features]`.
  public let network: any Layer
  private let reference: Parameter
  /// The weight, in training, of the contrastive orbit loss, the mean of |⟨*f*(*g*⁻¹·*x*), *f*(*h*⁻¹·*x*)⟩| over
  /// different *g*, *h*: features of different poses are to be perpendicular.
  public let contrast: Float
  public let alignment: ClassAlignment?

  /// Creates a canonicalizer with a random reference vector of length 1.
  ///
  /// The network gives `features` numbers for an image, and treats each image on its own.
  public init(
    _ group: Group, network: any Layer, features: Int, gradient: PoseGradient = .straightThrough,
    temperature: Float = 1, contrast: Float = 0,
    alignment: ClassAlignment? = nil, border: BorderPolicy = .zero, using random: inout RandomStream
  ) {
    action = ImageAction(group, border: border)
    self.network = network
    self.gradient = gradient
    self.temperature = temperature
    self.alignment = alignment
    self.contrast = contrast
    let direction = Tensor.normal([features, 1], using: &random)
    reference = Parameter(direction * direction.squared().sum().squareRoot().reciprocal())
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    [("reference", reference)]
      + network.parameters.map { ("network.\($0.name)", $0.parameter) }
      + (alignment?.parameters ?? [])
  }

  /// The features of every transformed copy, `[batch, order, features]`.
  ///
  /// - Complexity: `order` passes of the network per image.
  public func features(_ batch: Variable, on tape: Tape) -> Variable {
    let mask = discMask(height: batch.shape[1], width: batch.shape[2])
    // Sampled once for all quarter turns, which is faster, where the computation is not to be written down.
    let copies =
      batch.isTraced
      ? (batch * Variable(mask)).warped(
        byEach: action.group.elements.map {
          action.group.isometry(action.group.inverse($0)).samplingMap
        }, action.interpolation, border: action.border)
      : Variable(action.orbit(of: batch.value * mask))
    return network(copies, on: tape).reshaped([batch.shape[0], action.group.order, -1])
  }

  public func scores(_ batch: Variable, on tape: Tape) -> Variable {
    scores(of: features(batch, on: tape), on: tape)
  }

  private func scores(of features: Variable, on tape: Tape) -> Variable {
    features.matmul(tape(reference)).reshaped([features.shape[0], -1])
  }

  public func scoresWithRegularization(
    _ batch: Variable, on tape: Tape
  ) -> (scores: Variable, regularization: Variable?) {
    let features = features(batch, on: tape)
    let order = action.group.order
    guard contrast > 0, order > 1 else { return (scores(of: features, on: tape), nil) }
    let products = features.matmul(features.permuted([0, 2, 1]))
    let different = (0..<order * order).map { $0 % (order + 1) == 0 ? Float(0) : 1 }
    let magnitudes =
      (products.relu() + (-products).relu())
      * Variable(Tensor(different, shape: [1, order, order]))
    let mean = magnitudes.sum([1, 2]) * (contrast / Float(order * (order - 1)))
    return (scores(of: features, on: tape), mean)
  }
}

extension OrbitCanonicalizer: ExportableCanonicalizer {}

extension ImageAction where Group: FiniteGroup {
  /// The copies *g*⁻¹·*x* of each image, for every element in order, `[batch · order, …]`.
  func orbit(of batch: Tensor) -> Tensor {
    let inverses = group.elements.map(group.inverse)
    let rows = (0..<batch.shape[0]).flatMap { [Int](repeating: $0, count: group.order) }
    return act((0..<batch.shape[0]).flatMap { _ in inverses }, on: batch.gathered(rows))
  }
}

/// The settings of `{kind: orbit}`.
public struct OrbitOptions: CanonicalizerOptions {
  public static let kind = "orbit"
  public static let summary = "Any network looks at every turned copy of an image, and scores it."
  public static let isLearned = true
  public var group = "C8"
  public var channels = 8
  public var features = 1
  public var contrast: Float = 0
  public var refine = false
  public var average = 1
  public var pose = LearnedPose()
  public var prior: Float { pose.prior }
  public var teaching: [String] { pose.teaching + (contrast > 0 ? ["contrast"] : []) }

  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    try keys.readFiniteGroup(&group)
    try keys.read("channels", &channels, in: 1...1024, "channels of the network")
    try keys.read(
      "features", &features, in: 1...1024, "how many numbers are compared with the reference")
    try keys.read(
      "contrast", &contrast, in: 0...1000, "keeps features of an image's different poses apart")
    try keys.read("refine", &refine, "find the pose between the group's elements too")
    if !refine {
      try keys.read("average", &average, in: 1...256, "average outputs over so many best poses")
    }
    try pose.readChoice(&keys)
    try pose.readLosses(&keys)
    try keys.refuse(weights: images.size, images.size, channels, features)
    try keys.refuse(weights: 50, channels, channels)
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let images = try build.images(Self.kind)
    func opened<G: FiniteGroup & PlanarGroup>(_ group: G) -> any TrainableCanonicalizer {
      var random = build.random()
      let network = Backbone.scorer(
        size: images.size, channels: images.channels, width: channels, features: features,
        using: &random)
      let base = OrbitCanonicalizer(
        group, network: network, features: features, gradient: pose.poseGradient,
        temperature: pose.temperature, contrast: contrast,
        alignment: pose.classAlignment(build, images), border: images.border, using: &random)
      return refine ? base.refined() : base
    }
    guard let found = finitePlanarGroup(group) else {
      throw Keys().failure("'group' is '\(group)' but must be like C8 or D4")
    }
    return opened(found)
  }
}
