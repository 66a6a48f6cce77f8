import Layers
public import Settings
public import Symmetry
public import TensorCore

/// The settings of a canonicalizer: its keys in YAML, and what they make.
///
/// A canonicalizer of one's own is one conformer beside it, added to the catalog.
public protocol CanonicalizerOptions: Options {
  /// Whether it has something to learn: what has not can be used by name, without training.
  static var isLearned: Bool { get }

  /// The side of the images that it sees where it is used by its name alone, without a model that says it.
  static var sideAlone: Int { get }

  /// Over how many poses outputs are averaged.
  var average: Int { get }

  /// The weight of its prior's loss, for training data that are upright.
  var prior: Float { get }

  /// The keys, as they are set, that only say how it is taught: one that is frozen may have none of them.
  var teaching: [String] { get }

  /// Whether it looks at parts of an image, so that weights that were learned on images of another size fit.
  var isOfParts: Bool { get }

  /// Reads the keys, for inputs of a domain: defaults may follow from it, and what does not fit is refused.
  mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError)

  /// Makes the canonicalizer, with random weights.
  func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
}

extension CanonicalizerOptions {
  public static var isLearned: Bool { false }
  public static var sideAlone: Int { 64 }
  public var average: Int { 1 }
  public var prior: Float { 0 }
  public var isOfParts: Bool { false }
  public var teaching: [String] { prior > 0 ? ["prior"] : [] }
  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {}
}

/// What a canonicalizer is made for.
public struct CanonicalizerBuild: Sendable {
  public let domain: any Domain
  /// How many classes the task tells apart; 0 for other tasks.
  public let classes: Int
  public let seed: UInt64
  /// How many steps of the same kind stand before it.
  public let occurrence: Int

  public init(domain: any Domain, classes: Int = 0, seed: UInt64 = 0, occurrence: Int = 0) {
    (self.domain, self.classes, self.seed, self.occurrence) = (domain, classes, seed, occurrence)
  }

  /// Random numbers that follow from seed, name and place.
  public func random(_ name: String = "canonicalizer") -> RandomStream {
    RandomStream(seed: seed, name: occurrence == 0 ? name : "\(name)/\(occurrence)")
  }

  /// The images that the model sees.
  ///
  /// - Throws: `SettingsError` where it sees something else.
  public func images(_ kind: String) throws(SettingsError) -> ImageDomain {
    try Keys().images(domain, kind)
  }

  /// The sets that the model sees.
  ///
  /// - Throws: `SettingsError` where it sees something else.
  public func sets(_ kind: String) throws(SettingsError) -> SetDomain {
    try Keys().sets(domain, kind)
  }
}

extension Keys {
  /// Reads the name of a finite group of the plane, like C8 or D4.
  public mutating func readFiniteGroup(_ name: inout String) throws(SettingsError) {
    try read("group", &name, "the group: C or D and how many rotations")
    guard finitePlanarGroup(name) != nil else {
      throw failure("'group' is '\(name)' but must be like C8 or D4")
    }
  }

  /// Reads to which rotations of images poses are kept: all where it is empty.
  mutating func readRotations(_ name: inout String) throws(SettingsError) {
    try read("group", &name, "keeps poses to the rotations of C4, C8, …; empty for all angles")
    guard name.isEmpty || finitePlanarGroup(name) is Cyclic else {
      throw failure("'group' is '\(name)' but must be like C4, or empty for all angles")
    }
  }

  /// Reads the name of a group of isometries of space, like E3 or SO2.
  public mutating func readEuclideanGroup(
    _ name: inout String, _ sets: SetDomain
  ) throws(SettingsError) {
    let hasPlaces = sets.columns.count > 1
    if name.isEmpty { name = (hasPlaces ? "E" : "SO") + "\(sets.dimension)" }
    try read(
      "group", &name, among: ["SO", "O", "SE", "E"].map { "\($0)\(sets.dimension)" },
      "the group: rotations, with reflections (O), with shifts (SE, E)")
  }
}

/// Settings that several learned poses share: each reads only those that it honors.
public struct LearnedPose: Sendable {
  /// How the gradient reaches a choice among finitely many poses.
  public enum Gradient: String, CaseIterable, Sendable {
    case straightThrough = "straight-through"
    case mixture
  }
  public var gradient = Gradient.straightThrough
  /// How many poses the mixture has.
  public var poses = 4
  public var temperature: Float = 1
  public var prior: Float = 0
  public var alignment: Float = 0

  public init() {}

  mutating func readChoice(_ keys: inout Keys) throws(SettingsError) {
    try keys.read("gradient", &gradient, "how the choice of a pose is taught")
    if gradient == .mixture || keys.lists {
      try keys.read("poses", &poses, in: 1...256, "how many poses the mixture has")
    }
    try keys.read("temperature", &temperature, in: 1e-4...1e4, "divides scores in training")
  }

  mutating func readLosses(_ keys: inout Keys) throws(SettingsError) {
    try keys.read(
      "prior", &prior, in: 0...1e4, "weight of the loss towards the identity, for upright data")
    try keys.read(
      "alignment", &alignment, in: 0...100, "pulls images of a class to a common pose; 0: not")
  }

  /// The keys, as they are set, that say how a pose is taught.
  var teaching: [String] {
    (prior > 0 ? ["prior"] : []) + (alignment > 0 ? ["alignment"] : [])
      + (gradient == .mixture ? ["gradient: mixture"] : [])
  }

  var poseGradient: PoseGradient {
    gradient == .mixture ? .mixture(count: poses) : .straightThrough
  }

  /// The templates of classes, where they are wanted.
  func classAlignment(_ build: CanonicalizerBuild, _ images: ImageDomain) -> ClassAlignment? {
    guard alignment > 0 && build.classes > 0 else { return nil }
    var random = build.random("templates")
    return ClassAlignment(
      classes: build.classes, size: images.size, channels: images.channels, sharpness: alignment,
      using: &random)
  }
}
