public import Autodiff
public import Canonicalization
public import Layers
public import Symmetry
public import TensorCore

/// A canonicalizer and a backbone for images, as a configuration describes them.
public struct ImageModel: TrainableModel {
  public static let takesPoints = false
  public let configuration: RunConfiguration
  /// What brings an image's center, size or energy to a normal form first, if anything.
  public let normalizer: (any TrainableCanonicalizer<AffineImageAction>)?
  public let canonicalizer: any ImageCanonicalizer
  /// The same with forms turned upright, where the model was recentered: what is told of poses, and
  /// shown, is of this one; the backbone sees the forms that it was trained with.
  private let recentered: (any ImageCanonicalizer)?
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
    normalizer = ImageModel.normalizer(configuration)
    let turn = Double(configuration.canonicalizer.turn) * .pi / 180
    recentered = turn == 0 ? nil : canonicalizer.recentered(PlanarIsometry(residual: turn))
  }

  /// All parameters with unique names; those of a frozen canonicalizer are kept, not trained.
  public var parameters: [(name: String, parameter: Parameter)] {
    (normalizer?.parameters ?? []).map { ("normalizer.\($0.name)", $0.parameter) }
      + canonicalizer.parameters.map { ("canonicalizer.\($0.name)", $0.parameter) }
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
    let classes = isClassification ? targets : nil
    if let group = adaptiveGroup {
      let scores = BestPosePerClass.scores(
        of: Variable(inputs), ImageAction(group, border: action.border), network: backbone, on: tape
      )
      return configuration.loss.perMember(scores, Variable(targets)).mean()
    }
    let forms = trainingForms(Variable(inputs), on: tape)
    if configuration.backbone.frozen {
      return forms.ownLoss(configuration.canonicalizer.prior, classes)
    }
    let goals =
      isClassification
      ? Variable(.concatenated([Tensor](repeating: targets, count: forms.count)))
      : forms.move(Variable(targets))
    let output = backbone(forms.forms, on: tape)
    return total(forms, configuration.loss.perMember(output, goals), classes)
  }

  /// The forms of a batch in training, after all steps.
  private func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let before = normalizer?.trainingForms(batch, on: tape)
    let seen = before?.forms ?? batch
    let forms =
      configuration.canonicalizer.trainsFrame
      ? canonicalizer.frameForms(seen) : canonicalizer.trainingForms(seen, on: tape)
    return before.map { forms.after($0) } ?? forms
  }

  /// The group over which each class is scored in its best pose, where the model does so.
  private var adaptiveGroup: Cyclic? {
    let c = configuration.canonicalizer
    return c.kind == .adaptive ? Cyclic(Int(c.group.dropFirst()) ?? 1) : nil
  }

  /// What a model says of a batch.
  public struct Prediction: ModelPrediction {
    /// Class probabilities `[batch, classes]`, or images in the pose that the inputs came in.
    public let output: Tensor
    /// The inputs in canonical pose.
    public let forms: Tensor
    public let poses: [ImagePose]
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

  /// The pose of each image of a batch.
  public func poses(of batch: Tensor) -> [ImagePose] {
    if let adaptive { return adaptive.imagePoses(adaptive.best(of: batch).poses) }
    return poses(of: batch, by: recentered ?? canonicalizer)
  }

  private func poses(of batch: Tensor, by canonicalizer: any ImageCanonicalizer) -> [ImagePose] {
    let (seen, normalizations) = normalized(batch)
    return zip(canonicalizer.planarPoses(of: seen), normalizations).map { ImagePose($0, after: $1) }
  }

  /// A batch after the first step, with that step's pose for each image.
  private func normalized(_ batch: Tensor) -> (seen: Tensor, maps: [AffineMap?]) {
    guard let normalizer else {
      return (batch, [AffineMap?](repeating: nil, count: batch.shape[0]))
    }
    let (form, elements) = normalizer.formsAndElements(of: batch)
    return (form, elements)
  }

  /// The model that scores each class in its best pose, where it is of that kind.
  private var adaptive: BestPosePerClass<ImageAction<Cyclic>>? {
    adaptiveGroup.map { group in
      BestPosePerClass(action: ImageAction(group, border: action.border)) { [backbone] in
        backbone.predict($0)
      }
    }
  }

  private func predictTogether(_ batch: Tensor) -> Prediction {
    if let adaptive {
      let (scores, found) = adaptive.best(of: batch)
      let poses = adaptive.imagePoses(found)
      return Prediction(
        output: scores.softmax(), forms: action.canonicalize(batch, by: poses), poses: poses)
    }
    let poses = poses(of: batch, by: canonicalizer)
    let forms = action.canonicalize(batch, by: poses)
    let output =
      configuration.canonicalizer.frame > 1
      ? averaged(batch) : outputs(ofForms: forms, by: poses)
    guard recentered != nil else { return Prediction(output: output, forms: forms, poses: poses) }
    let shown = self.poses(of: batch)
    return Prediction(
      output: output, forms: action.canonicalize(batch, by: shown), poses: shown)
  }

  /// The backbone's outputs, in the poses that the inputs came in.
  private func outputs(ofForms forms: Tensor, by poses: [ImagePose]) -> Tensor {
    let raw = backbone.predict(forms)
    return configuration.data.task == .classify
      ? raw.softmax() : action.restore(raw.sigmoid(), by: poses)
  }

  /// The outputs averaged over the frame of each image.
  private func averaged(_ batch: Tensor) -> Tensor {
    let (seen, normalizations) = normalized(batch)
    let frames = canonicalizer.planarFrames(of: seen, count: configuration.canonicalizer.frame)
    let maps = zip(frames, normalizations).flatMap { frame, map in frame.map { _ in map } }
    return frames.average(of: batch) { inputs, elements in
      let poses = zip(elements, maps).map { ImagePose(Pose($0), after: $1) }
      return outputs(ofForms: action.canonicalize(inputs, by: poses), by: poses)
    }
  }
}

extension BestPosePerClass where InputAction == ImageAction<Cyclic> {
  fileprivate func imagePoses(_ poses: [Pose<Element>]) -> [ImagePose] {
    let group = action.group
    return poses.map { pose in
      ImagePose(
        Pose<PlanarIsometry>(
          group.isometry(pose.element), margin: pose.margin, ties: pose.ties.map(group.isometry)))
    }
  }
}

// Openings of existential canonicalizers.
extension ImageCanonicalizer {
  fileprivate func recentered(_ mean: PlanarIsometry) -> any ImageCanonicalizer {
    RecenteredPoses(self, mean: mean)
  }
}

extension Canonicalizer where InputAction == AffineImageAction {
  fileprivate func formsAndElements(of batch: Tensor) -> (Tensor, [AffineMap]) {
    let canonical = canonicalize(batch)
    return (canonical.form, canonical.poses.map(\.element))
  }
}
