public import Autodiff
public import Canonicalization
public import Layers
public import Symmetry
public import TensorCore

/// A canonicalizer and a backbone for images, as a configuration describes them.
public struct ImageModel: TrainableModel {
  public static let takesPoints = false
  public let configuration: RunConfiguration
  public let canonicalizer: any ImageCanonicalizer
  public let backbone: any Layer
  /// The names of the classes; empty for an image-valued task.
  public let classNames: [String]

  /// Creates a model with random weights, which follow from the configuration's seed.
  public init(_ configuration: RunConfiguration, classNames: [String]) {
    self.configuration = configuration
    self.classNames = classNames
    let seed = UInt64(configuration.seed)
    let (input, wanted) = (configuration.input, configuration.backbone)
    var random = RandomStream(seed: seed, name: "backbone")
    let classes = classNames.count
    backbone =
      switch wanted.kind {
      case .paperCNN:
        Backbone.paperCNN(
          size: input.size, channels: input.channels, classes: classes, using: &random)
      case .smallCNN:
        Backbone.smallCNN(
          channels: input.channels, width: wanted.width, classes: classes, using: &random)
      case .mlp:
        Backbone.mlp(
          inputs: input.size * input.size * input.channels, hidden: [wanted.width, wanted.width],
          outputs: classes, using: &random)
      case .unet:
        UNet(channels: input.channels, width: wanted.width, using: &random)
      case .pointnet, .particles:
        preconditionFailure("\(wanted.kind.rawValue) takes sets of points, not images")
      }
    canonicalizer = ImageModel.canonicalizer(configuration, classNames.count)
  }

  private static func canonicalizer(
    _ configuration: RunConfiguration, _ classes: Int
  ) -> any ImageCanonicalizer {
    let c = configuration.canonicalizer
    switch c.kind {
    case .identity: return IdentityCanonicalizer()
    case .frame: preconditionFailure("a frame is for sets of points, not images")
    case .pca: return PrincipalAxis(usesThirdMoment: false, threshold: 0.5, border: c.border)
    case .pcaSign: return PrincipalAxis(threshold: 0.5, border: c.border)
    case .gradient: return GradientOrientation(border: c.border)
    case .steerable:
      return c.group == "O2"
        ? steerable(O2(), configuration, classes) : steerable(SO2(), configuration, classes)
    case .learned, .orbit:
      let order = Int(c.group.dropFirst()) ?? 1
      return c.group.hasPrefix("D")
        ? learned(Dihedral(order), configuration, classes)
        : learned(Cyclic(order), configuration, classes)
    }
  }

  private static func learned<Group: FiniteGroup & PlanarGroup>(
    _ group: Group, _ configuration: RunConfiguration, _ classes: Int
  ) -> any ImageCanonicalizer {
    let c = configuration.canonicalizer
    var random = RandomStream(seed: UInt64(configuration.seed), name: "canonicalizer")
    let gradient = c.gradient == .mixture ? PoseGradient.mixture(count: c.poses) : .straightThrough
    let input = configuration.input
    let alignment = alignment(configuration, classes)
    if c.kind == .orbit {
      let network = Backbone.scorer(
        size: input.size, channels: input.channels, width: c.channels, features: 1, using: &random)
      return OrbitCanonicalizer(
        group, network: network, features: 1, gradient: gradient, temperature: c.temperature,
        isFrozen: c.frozen, alignment: alignment, border: c.border, using: &random)
    }
    return LearnedCanonicalizer(
      group,
      .init(
        size: input.size, inputChannels: input.channels,
        kernel: c.kernel, groupKernel: c.groupKernel, channels: c.channels, layers: c.layers,
        hasBatchNorm: c.batchNorm),
      gradient: gradient, temperature: c.temperature, isFrozen: c.frozen, alignment: alignment,
      border: c.border, using: &random)
  }

  private static func steerable<Group: PlanarGroup>(
    _ group: Group, _ configuration: RunConfiguration, _ classes: Int
  ) -> any ImageCanonicalizer where Group.Element == PlanarIsometry {
    let (c, input) = (configuration.canonicalizer, configuration.input)
    var random = RandomStream(seed: UInt64(configuration.seed), name: "canonicalizer")
    return SteerableCanonicalizer(
      group, size: input.size, channels: input.channels, width: c.channels,
      nonlinearity: c.nonlinearity, alignment: alignment(configuration, classes),
      consistency: c.consistency, border: c.border, using: &random)
  }

  /// The templates of classes, where the configuration wants them.
  private static func alignment(
    _ configuration: RunConfiguration, _ classes: Int
  ) -> ClassAlignment? {
    let (c, input) = (configuration.canonicalizer, configuration.input)
    guard c.alignment > 0 && classes > 0 else { return nil }
    var random = RandomStream(seed: UInt64(configuration.seed), name: "templates")
    return ClassAlignment(
      classes: classes, size: input.size, channels: input.channels, sharpness: c.alignment,
      using: &random)
  }

  /// All parameters with unique names; those of a frozen canonicalizer are kept, not trained.
  public var parameters: [(name: String, parameter: Parameter)] {
    canonicalizer.parameters.map { ("canonicalizer.\($0.name)", $0.parameter) }
      + backbone.parameters.map { ("backbone.\($0.name)", $0.parameter) }
  }

  /// How the canonicalizer's poses act on images.
  public var action: ImageAction<O2> {
    ImageAction(O2(), border: configuration.canonicalizer.border)
  }

  /// The loss of a batch in training.
  public func loss(_ inputs: Tensor, _ targets: Tensor, on tape: Tape) -> Variable {
    var (inputs, targets) = (inputs, targets)
    let isClassification = configuration.data.task == .classify
    if configuration.training.augment {
      let angles = tape.uniform([inputs.shape[0]]).elements
      let turns = angles.map { PlanarIsometry(residual: 2 * .pi * Double($0)) }
      inputs = action.act(turns, on: inputs)
      if !isClassification { targets = action.act(turns, on: targets) }
    }
    let forms = canonicalizer.trainingForms(Variable(inputs), on: tape)
    let goals =
      isClassification
      ? Variable(.concatenated([Tensor](repeating: targets, count: forms.count)))
      : forms.move(Variable(targets))
    let output = backbone(forms.forms, on: tape)
    return total(
      forms, configuration.loss.perMember(output, goals), isClassification ? targets : nil)
  }

  /// What a model says of a batch.
  public struct Prediction: Sendable {
    /// Class probabilities `[batch, classes]`, or images in the pose that the inputs came in.
    public let output: Tensor
    /// The inputs in canonical pose.
    public let forms: Tensor
    public let poses: [Pose<PlanarIsometry>]
  }

  /// Canonicalizes, predicts and restores a batch of images of the model's input size.
  ///
  /// A few images at a time go through the whole model on each thread: what one operation writes the
  /// next still finds in cache.
  public func predict(_ batch: Tensor) -> Prediction {
    let members = 8
    guard batch.shape[0] > members else { return predictTogether(batch) }
    let starts = Array(stride(from: 0, to: batch.shape[0], by: members))
    let parts = Parallel.map(starts) {
      predictTogether(batch.sliced($0..<min(batch.shape[0], $0 + members)))
    }
    return Prediction(
      output: .concatenated(parts.map(\.output)), forms: .concatenated(parts.map(\.forms)),
      poses: parts.flatMap(\.poses))
  }

  private func predictTogether(_ batch: Tensor) -> Prediction {
    let poses = canonicalizer.planarPoses(of: batch)
    let forms = action.act(poses.map { O2().inverse($0.element) }, on: batch)
    let raw = backbone.predict(forms)
    let output =
      configuration.data.task == .classify
      ? raw.softmax() : action.act(poses.map(\.element), on: raw.sigmoid())
    return Prediction(output: output, forms: forms, poses: poses)
  }

  /// Calls `body` with the predictions for consecutive ranges of images.
  public func forEachBatch(
    of images: Tensor, size: Int = 512, _ body: (Range<Int>, Prediction) -> Void
  ) {
    for start in stride(from: 0, to: images.shape[0], by: size) {
      let range = start..<min(images.shape[0], start + size)
      body(range, predict(images.sliced(range)))
    }
  }
}
