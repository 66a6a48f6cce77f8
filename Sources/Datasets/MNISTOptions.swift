public import Settings
public import Symmetry
import TensorCore

/// What all data sets of MNIST's digits share.
public struct DigitsSource: Sendable {
  /// The folder of the four IDX files.
  public var path = "Benchmarks/Data"
  public var variant = DigitVariant.plain

  mutating func read(_ keys: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "the folder of MNIST's IDX files")
    try keys.read("variant", &variant, "what makes the digits harder")
  }

  func located(at path: String) -> DigitsSource? {
    guard Digits.isFolder(path) else { return nil }
    var copy = self
    copy.path = path
    return copy
  }
}

/// Images of MNIST's digits, turned once each or upright.
private func images(
  _ source: DigitsSource, isUpright: Bool, isCorrupted: Bool, seed: UInt64,
  _ digits: Digits, _ part: Digits.Part
) -> Examples {
  let labeled = digits.rotated(part, isUpright: isUpright, variant: source.variant)
  guard isCorrupted else { return Examples(labeled) }
  let noisy = labeled.images.corrupted(seed: seed, name: "\(part)")
  return Examples(inputs: noisy, labels: labeled.labels, ["image": labeled.images])
}

/// `{kind: rotated-mnist}`
public struct RotatedMNISTOptions: DatasetOptions {
  public static let kind = "rotated-mnist"
  public static let summary = "MNIST's digits, each turned once: 10,000 / 2,000 / 50,000."
  public var source = DigitsSource()
  /// Whether inputs are noisy and partly erased, and `image` the clean ones.
  public var corrupted = false
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { corrupted ? "restore" : "classify" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try source.read(&keys)
    try keys.read(
      "corrupted", &corrupted, "noisy and partly erased inputs, clean images to restore")
    try input.read(&images)
    try input.refuseOtherThanDigits(images)
  }

  public func load(seed: UInt64) throws -> Dataset {
    let digits = try Digits(folder: source.path)
    return Dataset(
      train: Datasets.images(
        source, isUpright: false, isCorrupted: corrupted, seed: seed, digits, .train),
      valid: Datasets.images(
        source, isUpright: false, isCorrupted: corrupted, seed: seed, digits, .valid),
      classNames: source.variant.classNames)
  }

  public func test(seed: UInt64) throws -> Examples? {
    Datasets.images(
      source, isUpright: false, isCorrupted: corrupted, seed: seed,
      try Digits(folder: source.path), .test)
  }

  public func located(at path: String) -> (any DatasetOptions)? {
    source.located(at: path).map { source in
      var copy = self
      copy.source = source
      return copy
    }
  }

  public var upright: (any DatasetOptions)? {
    var other = UprightMNISTOptions()
    (other.source, other.images) = (source, images)
    return other
  }
}

/// `{kind: upright-mnist}`
public struct UprightMNISTOptions: DatasetOptions {
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
    try input.read(&images)
    try input.refuseOtherThanDigits(images)
  }

  public func load(seed: UInt64) throws -> Dataset {
    let digits = try Digits(folder: source.path)
    return Dataset(
      train: Datasets.images(
        source, isUpright: true, isCorrupted: false, seed: seed, digits, .train),
      valid: Datasets.images(
        source, isUpright: true, isCorrupted: false, seed: seed, digits, .valid),
      classNames: source.variant.classNames)
  }

  public func test(seed: UInt64) throws -> Examples? {
    Datasets.images(
      source, isUpright: true, isCorrupted: false, seed: seed,
      try Digits(folder: source.path), .test)
  }

  public func located(at path: String) -> (any DatasetOptions)? {
    source.located(at: path).map { source in
      var copy = self
      copy.source = source
      return copy
    }
  }
}

extension Keys {
  /// The digits are gray images of 28 × 28.
  fileprivate func refuseOtherThanDigits(_ images: ImageDomain) throws(SettingsError) {
    if images.size != 28 || images.channels != 1 {
      throw failure("the digits of MNIST are of 28 × 28 × 1, not \(images.text)")
    }
  }
}

/// What both data sets of digits as points share.
public struct DigitPoints: Sendable {
  public var source = DigitsSource()
  public var points = 100

  mutating func read(_ keys: inout Keys) throws(SettingsError) {
    try source.read(&keys)
    try keys.read("points", &points, in: 4...4096, "how many points a set has")
  }

  func examples(_ digits: Digits, _ part: Digits.Part, isUpright: Bool) -> Examples {
    let images = digits.rotated(part, isUpright: isUpright, variant: source.variant)
    let seed: UInt64 =
      switch part {
      case .train: 1
      case .valid: 2
      case .test: 3
      }
    let sets = LabeledPoints(images, perImage: points, seed: seed)
    return Examples(inputs: sets.points, labels: sets.labels)
  }

  func dataset(isUpright: Bool) throws -> Dataset {
    let digits = try Digits(folder: source.path)
    return Dataset(
      train: examples(digits, .train, isUpright: isUpright),
      valid: examples(digits, .valid, isUpright: isUpright),
      classNames: source.variant.classNames)
  }

  func located(at path: String) -> DigitPoints? {
    source.located(at: path).map { source in
      var copy = self
      copy.source = source
      return copy
    }
  }
}

/// `{kind: mnist-points}`
public struct MNISTPointsOptions: DatasetOptions {
  public static let kind = "mnist-points"
  public static let summary = "MNIST's digits, upright, as sets of points in the plane."
  public var digits = DigitPoints()
  public init() {}

  public var domain: any Domain { SetDomain(members: digits.points, dimension: 2) }
  public var task: String { "classify" }
  public var symmetries: [String] { ["S"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try digits.read(&keys)
  }

  public func load(seed: UInt64) throws -> Dataset { try digits.dataset(isUpright: true) }

  public func test(seed: UInt64) throws -> Examples? {
    digits.examples(try Digits(folder: digits.source.path), .test, isUpright: true)
  }

  public func located(at path: String) -> (any DatasetOptions)? {
    digits.located(at: path).map { digits in
      var copy = self
      copy.digits = digits
      return copy
    }
  }
}

/// `{kind: rotated-mnist-points}`
public struct RotatedMNISTPointsOptions: DatasetOptions {
  public static let kind = "rotated-mnist-points"
  public static let summary = "MNIST's digits, each turned once, as sets of points in the plane."
  public var digits = DigitPoints()
  public init() {}

  public var domain: any Domain { SetDomain(members: digits.points, dimension: 2) }
  public var task: String { "classify" }
  public var symmetries: [String] { ["SO2", "S"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try digits.read(&keys)
  }

  public func load(seed: UInt64) throws -> Dataset { try digits.dataset(isUpright: false) }

  public func test(seed: UInt64) throws -> Examples? {
    digits.examples(try Digits(folder: digits.source.path), .test, isUpright: false)
  }

  public func located(at path: String) -> (any DatasetOptions)? {
    digits.located(at: path).map { digits in
      var copy = self
      copy.digits = digits
      return copy
    }
  }
}
