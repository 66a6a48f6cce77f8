public import Settings
public import Symmetry
import TensorCore

/// Where the digits of MNIST come from, and what makes them harder.
public struct DigitsSource: Sendable {
  /// The folder of the four IDX files.
  public var path = "Benchmarks/Data"
  public var variant = DigitVariant.plain

  mutating func read(_ keys: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "the folder of MNIST's IDX files")
    try keys.read("variant", &variant, "what makes the digits harder")
  }
}

/// A data set made of MNIST's digits: what is made of a part of them is all that tells them apart.
public protocol DigitsOptions: DatasetOptions {
  var source: DigitsSource { get set }

  /// The examples of a part.
  func examples(_ digits: Digits, _ part: Digits.Part, seed: UInt64) -> Examples
}

extension DigitsOptions {
  public func load(seed: UInt64) throws -> Dataset {
    let digits = try Digits(folder: source.path)
    return Dataset(
      train: examples(digits, .train, seed: seed), valid: examples(digits, .valid, seed: seed),
      classNames: source.variant.classNames)
  }

  public func test(seed: UInt64) throws -> Examples? {
    examples(try Digits(folder: source.path), .test, seed: seed)
  }

  public func located(at path: String) -> (any DatasetOptions)? {
    // Other data under MNIST's names are meant where they are the model's own.
    let real = Files.real(path)
    guard Digits.isFolder(path) || (real != nil && real == Files.real(source.path)) else {
      return nil
    }
    var copy = self
    copy.source.path = path
    return copy
  }
}

/// The settings of `{kind: rotated-mnist}`.
public struct RotatedMNISTOptions: DigitsOptions {
  public static let kind = "rotated-mnist"
  public static let summary = "MNIST's digits, each turned once: 10,000 / 2,000 / 50,000."
  public var source = DigitsSource()
  /// Whether inputs are noisy and partly erased, and `image` the clean ones.
  public var corrupted = false
  /// Whether training digits are left upright, for an augmentation that turns, and interpolates, each once.
  public var uprightTraining = false
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { corrupted ? "restore" : "classify" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try source.read(&keys)
    try keys.read(
      "corrupted", &corrupted, "noisy and partly erased inputs, clean images to restore")
    try keys.read(
      "uprightTraining", &uprightTraining,
      "leave training digits upright, for 'augment' to turn each once")
    try input.readDigits(&images)
  }

  public func examples(_ digits: Digits, _ part: Digits.Part, seed: UInt64) -> Examples {
    let labeled = digits.rotated(
      part, isUpright: uprightTraining && part == .train, variant: source.variant)
    guard corrupted else { return Examples(labeled) }
    let noisy = labeled.images.corrupted(seed: seed, name: "\(part)")
    return Examples(inputs: noisy, labels: labeled.labels, ["image": labeled.images])
  }

  public var upright: (any DatasetOptions)? {
    var other = UprightMNISTOptions()
    (other.source, other.images) = (source, images)
    return other
  }
}

/// The settings of `{kind: upright-mnist}`.
public struct UprightMNISTOptions: DigitsOptions {
  public static let kind = "upright-mnist"
  public static let summary = "MNIST's digits as they were written: 10,000 / 2,000 / 50,000."
  public var source = DigitsSource()
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { "classify" }
  public var symmetries: [String] { ["SO2"] }
  public var upright: (any DatasetOptions)? { self }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try source.read(&keys)
    try input.readDigits(&images)
  }

  public func examples(_ digits: Digits, _ part: Digits.Part, seed: UInt64) -> Examples {
    Examples(digits.rotated(part, isUpright: true, variant: source.variant))
  }
}

extension Keys {
  /// Reads what a model sees of the digits, which are gray images of 28 × 28.
  mutating func readDigits(_ images: inout ImageDomain) throws(SettingsError) {
    try read(&images)
    if images.size != 28 || images.channels != 1 {
      throw failure("the digits of MNIST are of 28 × 28 × 1, not \(images.text)")
    }
  }
}

/// The settings of `{kind: mnist-points}`.
public struct MNISTPointsOptions: DigitsOptions {
  public static let kind = "mnist-points"
  public static let summary = "MNIST's digits, upright, as sets of points in the plane."
  public var source = DigitsSource()
  public var points = 100
  public init() {}

  public var domain: any Domain { SetDomain(members: points, dimension: 2) }
  public var task: String { "classify" }
  public var symmetries: [String] { ["S"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try source.read(&keys)
    try keys.read("points", &points, in: 4...4096, "how many points a set has")
  }

  public func examples(_ digits: Digits, _ part: Digits.Part, seed: UInt64) -> Examples {
    Examples(
      pointsOf: digits.rotated(part, isUpright: true, variant: source.variant), points, part)
  }
}

/// The settings of `{kind: rotated-mnist-points}`.
public struct RotatedMNISTPointsOptions: DigitsOptions {
  public static let kind = "rotated-mnist-points"
  public static let summary = "MNIST's digits, each turned once, as sets of points in the plane."
  public var source = DigitsSource()
  public var points = 100
  public init() {}

  public var domain: any Domain { SetDomain(members: points, dimension: 2) }
  public var task: String { "classify" }
  public var symmetries: [String] { ["SO2", "S"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try source.read(&keys)
    try keys.read("points", &points, in: 4...4096, "how many points a set has")
  }

  public func examples(_ digits: Digits, _ part: Digits.Part, seed: UInt64) -> Examples {
    Examples(pointsOf: digits.rotated(part, variant: source.variant), points, part)
  }
}

extension Examples {
  /// Points drawn from images, the same ones for the same part.
  fileprivate init(pointsOf images: LabeledImages, _ count: Int, _ part: Digits.Part) {
    let seed: UInt64 =
      switch part {
      case .train: 1
      case .valid: 2
      case .test: 3
      }
    let sets = LabeledPoints(images, perImage: count, seed: seed)
    self.init(inputs: sets.points, labels: sets.labels)
  }
}
