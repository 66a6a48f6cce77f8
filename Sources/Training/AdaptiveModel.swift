public import Autodiff
public import Canonicalization
public import Datasets
public import Layers
public import Settings
public import Symmetry
public import TensorCore

/// A classifier of images that scores each class in the pose that suits it best; see `BestPosePerClass`.
public struct AdaptiveModel<PoseGroup: FiniteGroup & PlanarGroup>: Predictor {
  public let images: ImageDomain
  public let classNames: [String]
  public let group: PoseGroup
  public let backbone: any Layer
  public let classification: ClassificationTask
  let augmentation: Augmentation

  public var domain: any Domain { images }
  public var task: any Objective { classification }
  public var claims: MotionGroup { MotionGroup([.init(scorer.action)]) }
  public var isExact: Bool { true }

  public var parameters: [(name: String, parameter: Parameter)] {
    backbone.parameters.map { ("backbone.\($0.name)", $0.parameter) }
  }

  public var structure: [UInt8]? { backbone.structure }

  private var scorer: BestPosePerClass<ImageAction<PoseGroup>> {
    BestPosePerClass(action: ImageAction(group, border: images.border)) { [backbone] in
      backbone.predict($0)
    }
  }

  public func loss(_ examples: Examples, on tape: Tape) -> Variable {
    let examples = tilted(
      augmented(examples, by: augmentation, on: tape), by: augmentation, on: tape
    ).examples
    let scores = BestPosePerClass.scores(
      of: Variable(examples.inputs), scorer.action, network: backbone, on: tape)
    return classification.losses(of: scores, Variable(examples["targets"] ?? .zeros([0]))).mean()
  }

  private func motions(_ poses: [Pose<PoseGroup.Element>]) -> [Pose<Motion>] {
    poses.map { pose in
      Pose(
        scorer.action.motion(of: pose.element), margin: pose.margin,
        ties: pose.ties.map(scorer.action.motion))
    }
  }

  public func poses(of batch: Tensor) -> [Pose<Motion>] { motions(scorer.best(of: batch).poses) }

  public func predict(_ batch: Tensor) -> Prediction {
    guard batch.shape[0] > 0 else {
      return Prediction(output: .zeros([0, classNames.count]), forms: batch, poses: [])
    }
    return predictInLots(batch) { part in
      let (scores, found) = scorer.best(of: part)
      let poses = motions(found)
      return Prediction(
        output: scores.softmax(),
        forms: images.inputs.act(poses.map(\.element.inverse), on: part), poses: poses)
    }
  }

  public var summary: [(name: String, value: String)] {
    [
      ("task", ClassificationTask.kind), ("input", images.text),
      ("poses of each class", "\(group.order)"), ("backbone parameters", "\(trainableCount())"),
    ]
  }
}

/// `model: {kind: adaptive, group: C8}`: `task` and `backbone`, and no canonicalizer.
public struct AdaptiveOptions: ModelOptions {
  public static let kind = "adaptive"
  public static let summary = "A backbone that scores each class in the pose that suits it best."
  public static let canAugment = true
  public var group = "C8"
  public var task = ClassificationTask()
  public var backbone: any BackboneOptions = PaperCNNOptions()
  public init() {}

  public var structure: [UInt8]? {
    get { backbone.structure }
    set { backbone.structure = newValue }
  }

  public mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError) {
    _ = try keys.images(data.domain, Self.kind)
    try keys.readFiniteGroup(&group)
    var section = try top.open("task")
    _ = try section.options(
      among: [ClassificationTask.self], kind: { $0.kind }, default: ClassificationTask.kind)
    try task.read(&section, for: data.domain)
    try top.close("task", section)
    section = try top.open("backbone")
    let found = try section.options(
      among: catalog.backbones, kind: { $0.kind }, default: type(of: backbone).kind)
    if found != type(of: backbone) { backbone = found.init() }
    try backbone.read(&section, for: data.domain, output: [0])
    try top.close("backbone", section)
  }

  public func make(_ build: ModelBuild) throws(SettingsError) -> any TrainableModel {
    guard let images = build.domain as? ImageDomain, let found = finitePlanarGroup(group) else {
      throw Keys().failure("'adaptive' is for images, and a group like C8 or D4")
    }
    var random = RandomStream(seed: build.seed, name: "backbone")
    let network = try backbone.make(
      input: images.shape, output: [build.classNames.count], using: &random)
    func opened<G: FiniteGroup & PlanarGroup>(_ group: G) -> any TrainableModel {
      AdaptiveModel(
        images: images, classNames: build.classNames, group: group, backbone: network,
        classification: task, augmentation: build.augmented)
    }
    return opened(found)
  }
}
