import Images
public import Settings
public import Symmetry
public import TensorCore

/// The settings of `{kind: moved-images}`.
public struct MovedImagesOptions: DatasetOptions {
  public static let kind = "moved-images"
  public static let summary =
    "Any images, in pairs that are turned, shifted, scaled or colored when they are seen; no classes are asked for."

  /// What moves them.
  public enum Motion: String, Sendable, CaseIterable {
    case turns, shifts, hues
    case turnsAndScalings = "turns-and-scalings"
    /// Along a generator of affine maps, as `canon discover` finds it.
    case generator
  }

  /// What moves images.
  public var motion: any ImageMotion {
    switch by {
    case .turns: Turns()
    case .shifts: Shifts()
    case .hues: Hues()
    case .turnsAndScalings: TurnsAndScalings()
    case .generator:
      AlongGenerator(PlanarAffine(sixEach: generators)?.generators.first ?? .rotation)
    }
  }

  public var path = ""
  public var by = Motion.turns
  /// Six numbers, where it is along a generator.
  public var generators: [Float] = []
  public var split = Split()
  public var views = 8
  public var images = ImageDomain()
  public init() { split.test = 0.1 }

  public var domain: any Domain { images }
  public var task: String { "restore" }
  public var symmetries: [String] { ["SO2"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "a folder of images, or an IDX file")
    try keys.read("by", &by, "what moves them")
    if by == .generator || keys.lists {
      try keys.readGenerators(&generators)
      guard keys.lists || generators.count == 6 else {
        throw keys.failure(
          "'by' is 'generator', which needs the six numbers of one in 'generators', not \(generators.count)"
        )
      }
    }
    try split.read(&keys)
    try keys.read("views", &views, in: 1...1000, "poses in which an image of the test part is seen")
    try input.read(&images)
    if by == .hues && images.channels != 3 {
      throw keys.failure("'by' is 'hues', and 'input.channels' are \(images.channels) and not 3")
    }
  }

  /// Whether the motion leaves an image as it is.
  private func isUnmoved(_ image: Tensor) -> Bool {
    if image.isConstant { return true }
    guard by == .hues else { return false }
    let motion = motion
    let moved = motion.act([motion.group.exp([2])], on: image, border: images.border)
    return !(moved.largestDifference(from: image) > 1e-4)
  }

  /// The images of each part; those of one value are left out, since no motion changes them.
  private func parts(_ seed: UInt64) throws -> (
    train: MovedImages, valid: MovedImages, test: MovedImages, errors: [ImageError]
  ) {
    var (errors, names): ([ImageError], [String]) = ([], [])
    let all: Tensor
    if IDX.isFile(path) {
      all = try images.images(inIDX: path)
      names = (0..<all.shape[0]).map { "\($0)" }
    } else {
      (all, names, errors) = try images.images(at: path)
    }
    var kept: [Int] = []
    for n in 0..<all.shape[0] {
      if isUnmoved(all.sliced(n..<n + 1)) {
        errors.append(.unmoved(path: names[n]))
      } else {
        kept.append(n)
      }
    }
    guard kept.count >= 4 else {
      throw DatasetError.malformed(
        path: path,
        reason:
          "it holds \(kept.count) images that \(by.rawValue) change, and 4 are needed at least (some dozens to learn from)"
      )
    }
    // Images elsewhere are all a test part.
    let places =
      split.test >= 1
      ? (train: [0], valid: [0], test: Array(kept.indices))
      : split.places(kept.count, labels: [], seed: seed)
    func part(_ places: [Int]) -> MovedImages {
      MovedImages(all.gathered(places.map { kept[$0] }), by: motion, border: images.border)
    }
    return (part(places.train), part(places.valid), part(places.test), errors)
  }

  public func load(seed: UInt64) throws -> Dataset {
    let parts = try parts(seed)
    guard parts.train.count > 0 else {
      throw DatasetError.malformed(path: path, reason: "nothing is left to learn from")
    }
    let valid = MovedImagesOptions.views(of: parts.valid, 2)
    return Dataset(
      stream: parts.train.stream(seed: seed),
      valid: parts.valid.ways(valid, steps: 1, seed: 2, name: "valid"), errors: parts.errors)
  }

  public func test(seed: UInt64) throws -> Examples? {
    guard split.test > 0 else { return nil }
    let part = try parts(seed).test
    return part.ways(
      MovedImagesOptions.views(of: part, views), steps: 20, seed: 3, name: "test")
  }

  /// Images elsewhere are measured on, all of them.
  public func located(at path: String) -> (any DatasetOptions)? {
    var copy = self
    (copy.path, copy.split.test) = (path, 1)
    return copy
  }

  /// The images of the test part; those of the validation part where there is none.
  func testImages(seed: UInt64) throws -> MovedImages {
    let parts = try parts(seed)
    return parts.test.count > 0 ? parts.test : parts.valid
  }

  /// Places of images, each so many times, 2,048 at most.
  private static func views(of part: MovedImages, _ count: Int) -> [Int] {
    let images = min(part.count, max(1, 2048 / count))
    return (0..<images * count).map { $0 % images }
  }
}

extension Tensor {
  /// Whether all places, along all axes but the last, hold the same: an image of one color.
  public var isConstant: Bool {
    let (numbers, width) = (elements, shape.rank > 0 ? shape[-1] : 1)
    return numbers.indices.allSatisfy { numbers[$0] == numbers[$0 % width] }
  }
}
