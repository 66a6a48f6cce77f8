public import Autodiff
public import Canonicalization
public import Layers
public import Symmetry
public import TensorCore

/// A canonicalizer and a backbone for sets of points, as a configuration describes them.
public struct PointModel: TrainableModel {
  public static let takesPoints = true
  public let configuration: RunConfiguration
  public let backbone: any Layer
  public let classNames: [String]
  /// What brings the points to a canonical frame.
  public let frame: any PointCanonicalizer
  /// The frame, and after it the order.
  public let canonicalizer: any TrainableCanonicalizer

  /// - Precondition: The configuration's data are sets of points.
  public init(_ configuration: RunConfiguration, classNames: [String]) {
    let (data, c) = (configuration.data, configuration.canonicalizer)
    guard let dimension = data.kind.dimension else {
      preconditionFailure("\(data.kind.rawValue) are not sets of points")
    }
    self.configuration = configuration
    self.classNames = classNames
    let seed = UInt64(configuration.seed)
    var random = RandomStream(seed: seed, name: "backbone")
    let action = PointModel.action(configuration, dimension)
    let width = configuration.backbone.width
    backbone =
      switch configuration.backbone.kind {
      case .particles: ParticleNetwork(dimension: dimension, width: width, using: &random)
      case .pointnet:
        PointNet(
          action.width, outputs: classNames.count, widths: [2 * width, 4 * width, 8 * width],
          hidden: 4 * width, using: &random)
      default:
        Backbone.mlp(
          inputs: data.points * action.width, hidden: [width, width], outputs: classNames.count,
          using: &random)
      }
    let frame = PointModel.frame(c, action, seed)
    self.frame = frame
    if let order = PointModel.order(c, data.points, features: action.width, seed) {
      canonicalizer = c.isOrderAlone ? order : PointModel.composed(frame, order)
    } else {
      canonicalizer = frame
    }
  }

  private static func action(_ configuration: RunConfiguration, _ dimension: Int) -> PointAction {
    let name = configuration.canonicalizer.group
    let group = Euclidean(
      dimension, hasReflections: !name.hasPrefix("S"), hasTranslations: name.contains("E"))
    return PointAction(
      group,
      columns: configuration.data.kind == .particles ? [.point, .vector, .scalars(1)] : [.point])
  }

  private static func frame(
    _ c: RunConfiguration.Canonicalizer, _ action: PointAction, _ seed: UInt64
  ) -> any PointCanonicalizer {
    let targets = PointAction(action.group, columns: [.vector])
    switch c.kind {
    case .frame:
      var random = RandomStream(seed: seed, name: "canonicalizer")
      return LearnedFrame(
        action, targetAction: targets,
        orthonormalization: c.orthonormalization, neighbors: c.neighbors, width: c.channels,
        layers: c.layers, hasBatchNorm: c.batchNorm, dropout: c.dropout, isFrozen: c.frozen,
        using: &random)
    case .pca, .pcaSign:
      return PrincipalFrame(
        action, targetAction: targets, usesThirdMoment: c.kind == .pcaSign)
    case .pcaLearned:
      var random = RandomStream(seed: seed, name: "canonicalizer")
      let width = c.channels
      return ChosenTie(
        PrincipalFrame(action, targetAction: targets, usesThirdMoment: false),
        network: PointNet(
          action.width, outputs: 1, widths: [2 * width, 4 * width], hidden: 2 * width,
          using: &random))
    default: return IdentityFrame(action, targetAction: targets)
    }
  }

  private static func order(
    _ c: RunConfiguration.Canonicalizer, _ points: Int, features: Int, _ seed: UInt64
  ) -> (any SetCanonicalizer)? {
    var random = RandomStream(seed: seed, name: "order")
    func learned(_ head: OrderingHead) -> LearnedPermutation {
      LearnedPermutation(Symmetric(points), features: features, head: head, using: &random)
    }
    switch c.order {
    case .none: return nil
    case .sort: return learned(.sort(temperature: c.temperature))
    case .assignment: return learned(.assignment(regularization: c.temperature))
    case .lexicographic, .norm, .hilbert:
      let rule = SortingRule(rawValue: c.order.rawValue) ?? .lexicographic
      return SortedSet(Symmetric(points), rule: rule, coordinates: features)
    }
  }

  private static func composed(
    _ frame: some PointCanonicalizer, _ order: some SetCanonicalizer
  ) -> any TrainableCanonicalizer { ComposedCanonicalizer(frame, then: order) }

  public var parameters: [(name: String, parameter: Parameter)] {
    canonicalizer.parameters.map { ("canonicalizer.\($0.name)", $0.parameter) }
      + backbone.parameters.map { ("backbone.\($0.name)", $0.parameter) }
  }

  public func loss(_ inputs: Tensor, _ targets: Tensor, on tape: Tape) -> Variable {
    var (inputs, targets) = (inputs, targets)
    if configuration.training.augment {
      var random = tape.stream()
      let count = inputs.shape[0]
      // Upright data are turned by nothing, and forecasts are per member.
      if configuration.data.kind != .mnistPoints {
        let group = frame.action.group
        let turns = (0..<count).map { _ in group.sample(using: &random) }
        inputs = frame.action.act(turns, on: inputs)
        if isForecast { targets = outputAction.act(turns, on: targets) }
      }
      if !isForecast {
        let orders = Symmetric(inputs.shape[1])
        let shuffles = (0..<count).map { _ in orders.sample(using: &random) }
        inputs = PermutationAction(orders).act(shuffles, on: inputs)
      }
    }
    let forms =
      configuration.canonicalizer.trainsFrame
      ? frame.frameForms(Variable(inputs))
      : canonicalizer.trainingForms(Variable(inputs), on: tape)
    let output = backbone(forms.forms, on: tape)
    guard isForecast else {
      let loss = Loss.crossEntropy(labelSmoothing: configuration.training.labelSmoothing)
      let goals = Tensor.concatenated([Tensor](repeating: targets, count: forms.count))
      return total(forms, loss.perMember(output, goals), targets)
    }
    let goals = forms.move(Variable(targets))
    return total(forms, Loss.meanSquaredError.perMember(output, goals), nil)
  }

  private var isForecast: Bool { configuration.data.task == .forecast }

  /// How the group acts on displacements.
  public var outputAction: PointAction { PointAction(frame.action.group, columns: [.vector]) }

  /// Whether forms are claimed to be the same however sets are moved in space: not where members are put in
  /// order and nothing else.
  public var claimsMotions: Bool { !configuration.canonicalizer.isOrderAlone }

  /// Sets that are moved, and how what is said of the members moves with them.
  public struct Moved {
    public let inputs: Tensor
    /// Displacements `[sets, members, d]` of the members before, to those after.
    public let move: (Tensor) -> Tensor
  }

  /// Moves and shuffles each set by elements drawn for it.
  ///
  /// They are moved in space if `motions` says so; by default where the model claims it.
  public func moved(
    _ sets: Tensor, motions: Bool? = nil, shuffles: Bool = true, using random: inout RandomStream
  ) -> Moved {
    let (group, orders) = (frame.action.group, PermutationAction(Symmetric(sets.shape[1])))
    var elements: [AffineMap] = []
    var permutations: [Permutation] = []
    for _ in 0..<sets.shape[0] {
      elements.append(
        motions ?? claimsMotions ? group.sample(using: &random) : group.identity)
      permutations.append(shuffles ? orders.group.sample(using: &random) : orders.group.identity)
    }
    return Moved(inputs: orders.act(permutations, on: frame.action.act(elements, on: sets))) {
      [outputAction] in orders.act(permutations, on: outputAction.act(elements, on: $0))
    }
  }

  /// What a model says of a batch.
  public struct Prediction: ModelPrediction {
    /// Class probabilities `[batch, classes]`, or later displacements `[batch, members, d]`.
    public let output: Tensor
    /// The inputs in canonical form.
    public let forms: Tensor
  }

  /// Canonicalizes, predicts and restores a batch of sets.
  public func predict(_ batch: Tensor) -> Prediction {
    if configuration.canonicalizer.frame > 1 {
      let frames = frame.frames(of: batch, count: configuration.canonicalizer.frame)
      let output = frames.average(of: batch) { sets, poses in
        outputs(of: frame.action.act(poses.map(\.inverse), on: sets), by: poses)
      }
      return Prediction(output: output, forms: frame.form(of: batch))
    }
    if isForecast {
      let (form, elements) = frame.canonicalForm(of: batch)
      return Prediction(output: outputs(of: form, by: elements), forms: form)
    }
    let form = canonicalizer.form(of: batch)
    return Prediction(output: outputs(of: form, by: []), forms: form)
  }

  /// The outputs for canonical forms of some poses.
  private func outputs(of forms: Tensor, by elements: [AffineMap]) -> Tensor {
    let raw = backbone.predict(forms)
    return isForecast ? outputAction.act(elements, on: raw) : raw.softmax()
  }

  /// How far the canonicalizer is from its laws, and the output from equivariance, on a batch that is moved
  /// so many times (see `moved`).
  public func deviations(
    on batch: Tensor, samples: Int
  ) -> (laws: LawDeviations, output: Double) {
    let laws = canonicalizer.sampledDeviations(on: batch, samples)
    let plain = predict(batch).output
    var random = RandomStream(seed: 0, name: "deviations")
    var worst = 0.0
    for _ in 0..<samples {
      let moved = moved(batch, using: &random)
      let expected = isForecast ? moved.move(plain) : plain
      let difference = (predict(moved.inputs).output - expected).absolute().elements.max() ?? 0
      worst = max(worst, Double(difference))
    }
    return (laws, worst)
  }
}

// Openings of existential canonicalizers.
extension TrainableCanonicalizer {
  fileprivate func form(of batch: Tensor) -> Tensor { canonicalize(batch).form }

  fileprivate func sampledDeviations(on batch: Tensor, _ count: Int) -> LawDeviations {
    deviations(on: batch, under: sampledElements(count))
  }
}

extension PointCanonicalizer {
  fileprivate func canonicalForm(of batch: Tensor) -> (form: Tensor, elements: [AffineMap]) {
    let canonical = canonicalize(batch)
    return (canonical.form, canonical.poses.map(\.element))
  }
}
