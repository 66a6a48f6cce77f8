public import Autodiff
import Layers
public import Settings
public import Symmetry
public import TensorCore

// The principal axes, of images and of sets alike: without signs, with them, or with learned ones.

/// The heuristic of the principal axes, for inputs of a domain.
private func principal(
  _ build: CanonicalizerBuild, _ kind: String, usesThirdMoment: Bool, threshold: Float,
  group: String
) throws(SettingsError) -> any TrainableCanonicalizer {
  if let images = build.domain as? ImageDomain {
    return PrincipalAxis(
      usesThirdMoment: usesThirdMoment, threshold: threshold > 0 ? threshold : nil,
      border: images.border
    ).restricted(to: group)
  }
  return PrincipalFrame(try build.sets(kind).action(group), usesThirdMoment: usesThirdMoment)
}

/// Reads what all kinds of principal axes take.
private func readPrincipal(
  _ keys: inout Keys, _ domain: any Domain, _ kind: String, threshold: inout Float,
  group: inout String
) throws(SettingsError) {
  if domain is ImageDomain {
    try keys.read(
      "threshold", &threshold, in: 0...1,
      "pixels above it count alike; 0, or a picture that is darker all over, weighs by intensity")
    if kind != LearnedSignsOptions.kind { try keys.readRotations(&group) }
  } else {
    try keys.readEuclideanGroup(&group, try keys.sets(domain, kind))
  }
}

/// The settings of `{kind: pca}`.
public struct PrincipalAxesOptions: CanonicalizerOptions {
  public static let kind = "pca"
  public static let summary = "The directions in which an image or a set spreads most; signs tie."
  public var threshold: Float = 0.5
  public var group = ""
  public var average = 1
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    try readPrincipal(&keys, domain, Self.kind, threshold: &threshold, group: &group)
    try keys.read("average", &average, in: 1...256, "more than 1: average outputs over all signs")
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    try principal(
      build, Self.kind, usesThirdMoment: false, threshold: threshold, group: group)
  }
}

/// The settings of `{kind: pca-sign}`.
public struct SignedAxesOptions: CanonicalizerOptions {
  public static let kind = "pca-sign"
  public static let summary = "The principal axes, each towards its longer tail (third moment)."
  public var threshold: Float = 0.5
  public var group = ""
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    try readPrincipal(&keys, domain, Self.kind, threshold: &threshold, group: &group)
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    try principal(build, Self.kind, usesThirdMoment: true, threshold: threshold, group: group)
  }
}

/// The settings of `{kind: pca-learned}`.
public struct LearnedSignsOptions: CanonicalizerOptions {
  public static let kind = "pca-learned"
  public static let summary = "The principal axes; a small network chooses their directions."
  public static let isLearned = true
  public var threshold: Float = 0.5
  public var group = ""
  public var channels = 8
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    try readPrincipal(&keys, domain, Self.kind, threshold: &threshold, group: &group)
    try keys.read("channels", &channels, in: 1...1024, "channels of the network")
    try keys.refuse(weights: 50, channels, channels)
  }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    var random = build.random()
    if let images = build.domain as? ImageDomain {
      return ChosenTie(
        PrincipalAxis(
          usesThirdMoment: false, threshold: threshold > 0 ? threshold : nil, border: images.border),
        network: Backbone.scorer(
          size: images.size, channels: images.channels, width: channels, features: 1,
          using: &random))
    }
    let sets = try build.sets(Self.kind)
    return ChosenTie(
      PrincipalFrame(sets.action(group), usesThirdMoment: false),
      network: PointNet(
        sets.width, outputs: 1, widths: [2 * channels, 4 * channels], hidden: 2 * channels,
        using: &random))
  }
}

/// The settings of `{kind: identity}`.
public struct IdentityOptions: CanonicalizerOptions {
  public static let kind = "identity"
  public static let summary = "Leaves every input as it is."
  public init() {}

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    IdentityStep(build.domain)
  }
}

/// The canonicalizer that leaves every input as it is, and claims nothing.
public struct IdentityStep: TrainableCanonicalizer {
  public let action: MotionAction
  public init(_ domain: any Domain) { action = MotionAction(MotionGroup([]), on: domain.inputs) }

  public func poses(of batch: Tensor) -> [Pose<Motion>] {
    [Pose](repeating: Pose(Motion()), count: batch.shape[0])
  }
}

extension IdentityStep: ExportableCanonicalizer {
  /// Nothing is moved.
  public var inputs: any ExportableQuantity { Scores() }
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables { PoseVariables() }
}
