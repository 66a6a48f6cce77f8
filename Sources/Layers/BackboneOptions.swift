import Autodiff
public import Settings
public import Symmetry
public import TensorCore

/// The settings of a backbone: its keys in YAML, and the network that they make.
///
/// A backbone of one's own is one conformer, added to the catalog.
public protocol BackboneOptions: Options {
  /// Reads the keys, for inputs of a domain.
  ///
  /// `output`: The shape of one output, 0 where it is not known before the data are read: `[0]` for
  ///   scores of classes. What the network cannot give is refused.
  mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError)

  /// Whether the network has weights already, so that it may be frozen as it is.
  var hasWeights: Bool { get }

  /// What a model file carries of the network (`Layer.structure`): it is made from that, where it is there.
  var structure: [UInt8]? { get set }

  /// Makes the network, with random weights or its own: `[batch] + input` → `[batch] + output`, or the same number of
  /// numbers in another shape.
  func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer
}

extension BackboneOptions {
  public var hasWeights: Bool { false }
  public var structure: [UInt8]? {
    get { nil }
    set {}
  }
}

extension Keys {
  /// Refuses a task whose output is not one list of numbers for the whole input.
  public func refuseOutput(
    _ output: [Int], of domain: any Domain, from kind: String
  ) throws(SettingsError) {
    if domain is SetDomain && output.count > 1 {
      throw failure("backbone '\(kind)' says nothing of single members, as the task wants")
    }
  }
}

/// The settings of `{kind: paper-cnn}`.
public struct PaperCNNOptions: BackboneOptions {
  public static let kind = "paper-cnn"
  public static let summary =
    "The seven-layer CNN of Kaba et al. 2023, for images of 22 pixels and more."
  public init() {}

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    guard let images = domain as? ImageDomain, images.size >= 22 else {
      throw keys.failure("'paper-cnn' needs images of at least 22 pixels, not \(domain.text)")
    }
    try keys.refuse(weights: images.size, images.size, 8, max(1, output.reduce(1, *)))
  }

  public func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    Backbone.paperCNN(
      size: input[0], channels: input[2], classes: output.reduce(1, *), using: &random)
  }
}

/// The settings of `{kind: small-cnn}`.
public struct SmallCNNOptions: BackboneOptions {
  public static let kind = "small-cnn"
  public static let summary =
    "Five 3×3 convolutions in three stages of doubling width, for any image."
  public var width = 32
  public init() {}

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
    try keys.read("width", &width, in: 1...4096, "channels of the first stage")
    try keys.refuse(weights: 144, width, width)
  }

  public func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    Backbone.smallCNN(
      channels: input[2], width: width, classes: output.reduce(1, *), using: &random)
  }
}

/// The settings of `{kind: pose-cnn}`.
public struct PoseCNNOptions: BackboneOptions {
  public static let kind = "pose-cnn"
  public static let summary =
    "Four convolutions, halving three times, and two linear layers that know where they see what."
  public var width = 32
  public var stride = 1
  public init() {}

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    try keys.read("width", &width, in: 1...1024, "channels of the first stage")
    try keys.read(
      "stride", &stride, in: 1...2, "of the first convolution; 2 is three times as fast")
    try keys.refuse(weights: 36, width, width)
    try keys.refuse(weights: images.size, images.size, 4, width)
  }

  public func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    Backbone.poseCNN(
      size: input[0], channels: input[2], width: width, stride: stride,
      outputs: output.reduce(1, *), using: &random)
  }
}

/// The settings of `{kind: none}`, for tasks that need no backbone.
public struct NoBackboneOptions: BackboneOptions {
  public static let kind = "none"
  public static let summary = "No network: for the task 'pose'."
  public init() {}

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    guard output == [1] else { throw keys.failure("backbone 'none' is for the task 'pose'") }
  }

  public func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    Function { Variable(.zeros([$0.shape[0], 1])) }
  }
}

/// The settings of `{kind: mlp}`.
public struct MLPOptions: BackboneOptions {
  public static let kind = "mlp"
  public static let summary = "Two hidden layers on all numbers of the input."
  public var width = 512
  public init() {}

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    try keys.read("width", &width, in: 1...4096, "units of each hidden layer")
    try keys.refuse(weights: domain.shape.reduce(1, *), width)
    try keys.refuse(weights: max(1, output.reduce(1, *)), width)
  }

  public func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    Backbone.mlp(
      inputs: input.reduce(1, *), hidden: [width, width], outputs: output.reduce(1, *),
      using: &random)
  }
}

/// The settings of `{kind: unet}`.
public struct UNetOptions: BackboneOptions {
  public static let kind = "unet"
  public static let summary = "From images to images: down to a quarter of the side and back."
  public var width = 16
  public init() {}

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    guard output.count == 3 else {
      throw keys.failure("'unet' makes images, which the task does not ask for")
    }
    guard images.size % 4 == 0 else {
      throw keys.failure("'unet' needs a size divisible by 4, not \(images.size)")
    }
    try keys.read("width", &width, in: 1...4096, "channels of the first stage")
    try keys.refuse(weights: 144, width, width)
  }

  public func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    UNet(channels: input[2], outputs: output[2], width: width, using: &random)
  }
}

/// The settings of `{kind: pointnet}`.
public struct PointNetOptions: BackboneOptions {
  public static let kind = "pointnet"
  public static let summary =
    "The same layers for every point, the maximum over all, and layers after it."
  public var width = 32
  public init() {}

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    _ = try keys.sets(domain, Self.kind)
    try keys.refuseOutput(output, of: domain, from: Self.kind)
    try keys.read("width", &width, in: 1...4096, "half the features of the first layer")
    try keys.refuse(weights: 32, width, width)
  }

  public func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    PointNet(
      input[1], outputs: output.reduce(1, *), widths: [2 * width, 4 * width, 8 * width],
      hidden: 4 * width, using: &random)
  }
}

/// The settings of `{kind: particles}`.
public struct ParticleNetworkOptions: BackboneOptions {
  public static let kind = "particles"
  public static let summary =
    "Message passing between charged particles, along edges that carry their electric force; moves them "
    + "round by round."
  public var width = 64
  public init() {}

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    let sets = try keys.sets(domain, Self.kind)
    guard sets.columns == [.point, .vector, .scalars(1)], output == [sets.members, sets.dimension]
    else {
      throw keys.failure("'particles' takes places, velocities and charges, and tells places")
    }
    try keys.read("width", &width, in: 1...4096, "features of a particle")
    try keys.refuse(weights: 2, width, width)
  }

  public func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    ParticleNetwork(dimension: output[1], width: width, using: &random)
  }
}
