public import Canonicalization
public import Datasets
public import Layers
public import Settings
import Symmetry
import TensorCore

/// The settings of `model: {kind: class-pose}`: an encoder of any inputs under any group, and its `backbone`.
public struct ClassPoseOptions: ModelOptions {
  public static let kind = "class-pose"
  public static let summary =
    "An encoder that learns orbit and pose from pairs of inputs and the elements between them."

  /// How the group acts on codes.
  public enum LatentAction: String, Sendable, CaseIterable {
    /// It multiplies poses.
    case multiplication
    /// A network learns it: the baseline.
    case learned
  }

  public var group = ""
  public var action = LatentAction.multiplication
  public var head = PoseHead.projection
  public var classDimensions = 8
  public var temperature: Float = 0.8
  public var symmetric = false
  public var backbone: any BackboneOptions = PoseCNNOptions()
  private var isRead = false

  public init() {}

  public mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError) {
    if group.isEmpty {
      group = (data as? SceneOptions)?.group.name ?? "SO2"
    }
    try keys.read("group", &group, "what acts: R3, SO2, SO3, T2, R2xSO2, …")
    guard let acting = AmbientGroup(named: group) else {
      throw keys.failure("'group' is '\(group)' but must be like R3, SO2, SO3, T2 or R2xSO2")
    }
    if let scene = data as? SceneOptions, scene.group != acting {
      throw keys.failure(
        "'group' is '\(group)', but what is drawn moves by \(scene.group.name)")
    }
    try keys.read("action", &action, "how the group acts on codes")
    if action == .multiplication || keys.lists {
      try keys.readClassPose(&classDimensions, &temperature, &head)
      try keys.read("symmetric", &symmetric, "whether the contrast goes both ways")
    }
    var section = try top.open("backbone")
    let found = try section.options(
      among: catalog.backbones, kind: { $0.kind },
      default: isRead ? type(of: backbone).kind : usual(for: data.domain))
    isRead = true
    if found != type(of: backbone) { backbone = found.init() }
    try backbone.read(&section, for: data.domain, output: [outputCount(acting)])
    try top.close("backbone", section)
  }

  private func usual(for domain: any Domain) -> String {
    domain is ImageDomain ? PoseCNNOptions.kind : MLPOptions.kind
  }

  private func outputCount(_ group: AmbientGroup) -> Int {
    action == .learned
      ? classDimensions + group.dimension
      : ClassPoseEncoder.outputCount(group, head: head, classDimensions: classDimensions)
  }

  public func make(_ build: ModelBuild) throws(SettingsError) -> any TrainableModel {
    guard let acting = AmbientGroup(named: group) else {
      throw Keys().failure("'group' is '\(group)' but must be like R3, SO2 or R2xSO2")
    }
    var random = RandomStream(seed: build.seed, name: "backbone")
    let network = try backbone.make(
      input: build.domain.shape, output: [outputCount(acting)], using: &random)
    guard action == .multiplication else {
      let width = outputCount(acting)
      let transition = Backbone.mlp(
        inputs: width + acting.elementCount, hidden: [128, 128], outputs: width, using: &random)
      return OrbitModel(
        LearnedActionSpace(network, transition: transition, group: acting), domain: build.domain)
    }
    return OrbitModel(
      ClassPoseSpace(
        ClassPoseEncoder(network, group: acting, head: head, classDimensions: classDimensions),
        temperature: temperature, isSymmetric: symmetric),
      domain: build.domain)
  }
}
