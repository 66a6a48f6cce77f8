import Canonicalization
public import Datasets
public import Layers
public import Settings
import Symmetry
public import TensorCore

/// The settings of `model: {kind: relaxed}`: those of a canonicalized model, and `residual`, another backbone.
public struct RelaxedOptions: ModelOptions {
  public static let kind = "relaxed"
  public static let summary =
    "A canonicalized model with a learned residual that need not be equivariant, as small as the data allow; its network is the section 'residual', a backbone."
  public static let canAugment = true
  public var base = CanonicalizedOptions()
  /// `nil` for a network of the backbone's kind and settings.
  public var residual: (any BackboneOptions)?
  public var budget: Float = 0
  public var penalty: Float = 0.01

  public init() {}

  public var structure: [UInt8]? {
    get { base.structure }
    set { base.structure = newValue }
  }

  public mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError) {
    try keys.read(
      "budget", &budget, in: 0...1e6,
      "the largest Euclidean length of the residual, over all numbers of a raw output; 0: any")
    guard budget == 0 || budget >= 1e-6 else {
      throw keys.failure(
        "'budget' is \(budget) but must be 0, for any length, or 0.000001 and more")
    }
    try keys.read(
      "penalty", &penalty, in: 0...1e6, "weight of the residual's mean square in the loss")
    try base.read(&keys, top: &top, data: data, catalog: catalog)
    if base.task.presentation == .poses {
      throw keys.failure("'task: pose' has no output that a residual could be added to")
    }
    var section = try top.open("residual")
    var network = residual ?? base.backbone
    let found = try section.options(
      among: catalog.backbones, kind: { $0.kind }, default: type(of: network).kind)
    if found != type(of: network) { network = found.init() }
    try network.read(
      &section, for: data.domain, output: base.task.outputShape(for: data.domain, classes: 0))
    if network.structure != nil {
      throw section.failure("a residual learns from random weights: '\(found.kind)' has its own")
    }
    residual = network
    try top.close("residual", section)
  }

  public func make(_ build: ModelBuild) throws(SettingsError) -> any TrainableModel {
    let made = try base.makeModel(build)
    guard made.outputs is any ExportableQuantity else {
      throw Keys().failure(
        "'model' is 'relaxed', for outputs whose motions have a gradient; those of this task have none"
      )
    }
    var random = RandomStream(seed: build.seed, name: "residual")
    let network = try (residual ?? base.backbone).make(
      input: build.domain.shape, output: made.outputShape, using: &random)
    return RelaxedModel(
      made, residual: network, budget: budget > 0 ? budget : nil, penalty: penalty)
  }

  public func load(into model: any TrainableModel) throws(WeightsError) {
    guard let model = model as? RelaxedModel else { return }
    try base.load(into: model.base)
  }
}
