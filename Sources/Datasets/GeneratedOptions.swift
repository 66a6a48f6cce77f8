public import Settings
public import Symmetry
import TensorCore

/// The settings of `{kind: particles}`.
public struct ParticlesOptions: DatasetOptions {
  public static let kind = "particles"
  public static let summary =
    "Charged particles in space, of which later places are to be told: 3,000 / 2,000 / 2,000 systems."
  public init() {}

  public var domain: any Domain {
    SetDomain(members: 5, dimension: 3, columns: [.point, .vector, .scalars(1)])
  }
  public var task: String { "forecast" }
  public var symmetries: [String] { ["E3"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {}

  /// As in the literature: the first 3,000 systems, then 2,000 and 2,000.
  private func part(_ range: Range<Int>) -> Examples {
    let all = ChargedParticles(count: range.upperBound)
    let steps = all.targets - all.states.sliced(0..<3, axis: 2)
    return Examples(
      inputs: all.states.sliced(range), ["displacements": steps.sliced(range)])
  }

  public func load(seed: UInt64) throws -> Dataset {
    let all = part(0..<5000)
    return Dataset(train: all.selecting(0..<3000), valid: all.selecting(3000..<5000))
  }

  public func test(seed: UInt64) throws -> Examples? { part(5000..<7000) }
}

/// The settings of `{kind: bodies}`.
public struct BodiesOptions: DatasetOptions {
  public static let kind = "bodies"
  public static let summary =
    "Noisy points on the surfaces of eight kinds of bodies, each turned once in space: 2,000 / 400 / 2,000."
  public var points = 256
  public init() {}

  public var domain: any Domain { SetDomain(members: points, dimension: 3) }
  public var task: String { "classify" }
  public var symmetries: [String] { ["SO3", "S"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("points", &points, in: 4...4096, "how many points a set has")
  }

  private func part(_ count: Int, seed: UInt64) -> Examples {
    let bodies = SolidShapes.sample(count: count, points: points, seed: seed)
    var random = RandomStream(seed: seed, name: "bodies/turns")
    let turns = (0..<count).map { _ in Euclidean.so(3).sample(using: &random) }
    return Examples(
      inputs: PointAction(.so(3)).act(turns, on: bodies.points), labels: bodies.labels)
  }

  public func load(seed: UInt64) throws -> Dataset {
    Dataset(
      train: part(2000, seed: 1), valid: part(400, seed: 2), classNames: SolidShapes.classNames)
  }

  public func test(seed: UInt64) throws -> Examples? { part(2000, seed: 3) }
}

/// The settings of `{kind: drawn}`.
public struct DrawnOptions: DatasetOptions {
  public static let kind = "drawn"
  public static let summary =
    "Drawn signs, each turned once, with classes, keypoints, boxes, masks, headings and fields: "
    + "2,000 to train on, 500 to validate, 2,000 to test."
  public var count = 2000
  public var noise: Float = 0.05
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { "classify" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read(
      "count", &count, in: 8...1_000_000, "signs to train on; a quarter of them to validate")
    try keys.read("noise", &noise, in: 0...1, "deviation of the noise on the inputs")
    try input.read(&images)
    if images.channels != 1 { throw input.failure("drawn signs are gray: 'channels' must be 1") }
  }

  private func part(_ count: Int, seed: UInt64) -> Examples {
    DrawnSigns.sample(count: count, size: images.size, noise: noise, seed: seed)
  }

  public func load(seed: UInt64) throws -> Dataset {
    Dataset(
      train: part(count, seed: 1), valid: part(count / 4, seed: 2),
      classNames: DrawnSigns.classNames)
  }

  public func test(seed: UInt64) throws -> Examples? { part(count, seed: 3) }
}
