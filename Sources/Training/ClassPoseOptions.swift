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
    /// Turns act on a plane or on space itself by their matrices: a baseline for SO(2) and SO(3).
    case linear
  }

  public var group = ""
  public var action = LatentAction.multiplication
  public var head = PoseHead.projection
  public var classDimensions = 8
  public var temperature: Float = 0.8
  public var symmetric = false
  public var decoder = false
  public var backbone: any BackboneOptions = PoseCNNOptions()
  private var isRead = false

  public init() {}

  public var structure: [UInt8]? {
    get { backbone.structure }
    set { backbone.structure = newValue }
  }

  public mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError) {
    if group.isEmpty {
      group = (data as? any PairedOptions)?.group.name ?? "SO2"
    }
    if data is any SteppedOptions {
      throw keys.failure(
        "data of kind '\(type(of: data).kind)' move by whole steps of a cycle; models of kind 'operators' and 'transport' are for them"
      )
    }
    try keys.read(
      "group", &group,
      "what acts: R3, SO2, SO3, T2, R2xSO2, …; that of the data where it is not named")
    guard let acting = AmbientGroup(named: group) else {
      throw keys.failure("'group' is '\(group)' but must be like R3, SO2, SO3, T2 or R2xSO2")
    }
    if let own = (data as? any PairedOptions)?.group, own != acting {
      throw keys.failure("'group' is '\(group)', but the data move by \(own.name)")
    }
    try keys.read("action", &action, "how the group acts on codes")
    if action == .learned {
      try keys.read(
        "classDimensions", &classDimensions, in: 2...1024, "of codes beside the group's")
    }
    if action == .multiplication || keys.lists {
      try keys.readClassPose(&classDimensions, &temperature, &head)
      try keys.read("symmetric", &symmetric, "whether the contrast goes both ways")
    }
    if action == .linear && LinearActionSpace.width(acting) == nil {
      throw keys.failure("'action' is 'linear', for products of SO2 and SO3, not '\(group)'")
    }
    try keys.read("decoder", &decoder, "whether codes are drawn again, for `canon traverse`")
    if decoder {
      guard let images = data.domain as? ImageDomain, images.size % 4 == 0 else {
        throw keys.failure(
          "'decoder' is for images of a side that 4 divides, not \(data.domain.text)")
      }
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

  /// How many numbers the network ends in.
  private func outputCount(_ group: AmbientGroup) -> Int {
    switch action {
    case .multiplication:
      ClassPoseEncoder.outputCount(group, head: head, classDimensions: classDimensions)
    case .learned: classDimensions + group.dimension
    case .linear: LinearActionSpace.width(group) ?? 0
    }
  }

  public func make(_ build: ModelBuild) throws(SettingsError) -> any TrainableModel {
    guard let acting = AmbientGroup(named: group) else {
      throw Keys().failure("'group' is '\(group)' but must be like R3, SO2 or R2xSO2")
    }
    var random = RandomStream(seed: build.seed, name: "backbone")
    let width = outputCount(acting)
    let network = try backbone.make(
      input: build.domain.shape, output: [width], using: &random)
    let space: any LatentSpace
    var codes = width
    switch action {
    case .multiplication:
      codes = classDimensions + acting.elementCount
      space = ClassPoseSpace(
        ClassPoseEncoder(network, group: acting, head: head, classDimensions: classDimensions),
        temperature: temperature, isSymmetric: symmetric)
    case .learned:
      let transition = Backbone.mlp(
        inputs: width + acting.elementCount, hidden: [128, 128], outputs: width, using: &random)
      space = LearnedActionSpace(network, transition: transition, group: acting)
    case .linear: space = LinearActionSpace(network, group: acting)
    }
    guard decoder, let images = build.domain as? ImageDomain else {
      return OrbitModel(space, domain: build.domain)
    }
    return OrbitModel(
      space, domain: build.domain,
      decoder: Backbone.decoder(
        inputs: codes, size: images.size, channels: images.channels, width: 32, using: &random))
  }
}
