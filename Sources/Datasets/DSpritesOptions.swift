public import Settings
public import Symmetry
import TensorCore

/// The settings of `{kind: dsprites}`: random pictures of the dSprites grid, drawn when they are seen.
///
/// Examples hold `inputs` and `factors` `[count, 5]`: silhouette, scale, orientation, place to the right and place down, as whole
/// numbers. Labels are the silhouettes. Nothing is kept: an epoch is `count` pictures that are drawn anew from all 737,280.
/// Since that grid is all there is, the validation and the test part are not held out of it: the one is another random sample, the other
/// a coarser grid, every silhouette and scale, ten orientations and 8 × 8 places, in an order that is drawn once. There each combination of values of two
/// factors has many rows, as metrics of disentanglement need them.
public struct DSpritesOptions: DatasetOptions {
  public static let kind = "dsprites"
  public static let summary =
    "The dSprites grid of 737,280 pictures with its five factors, drawn when they are seen."
  public var count = 100_000
  public var size = 64
  public init() {}

  public var domain: any Domain { ImageDomain(size: size, channels: 1) }
  public var task: String { "classify" }
  public var factorNames: [String] { ["silhouette", "scale", "orientation", "x", "y"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read(
      "count", &count, in: 16...10_000_000,
      "pictures of an epoch; to validate a tenth, 2,048 at most")
    try keys.read("size", &size, in: 16...256, "side of the pictures, in pixels, a multiple of 16")
    guard size % 16 == 0 else {
      throw keys.failure("'size' is \(size) but must be a multiple of 16, such as 32 or 64")
    }
  }

  /// The pictures at random places of the grid, which follow from the seed, the epoch and `places`.
  private func pictures(_ places: [Int], seed: UInt64, epoch: Int = 0) -> Examples {
    let grid = places.map { n in
      var random = RandomStream(seed: seed, name: "dsprites/\(n)/\(epoch)")
      return Int.random(in: 0..<DSprites.count, using: &random)
    }
    return DSprites.examples(at: grid, size: size)
  }

  public func load(seed: UInt64) throws -> Dataset {
    Dataset(
      stream: ExampleStream(count: count) { pictures($0, seed: 1, epoch: $1) },
      valid: pictures(Array(0..<min(2048, max(16, count / 10))), seed: 2),
      classNames: ["heart", "square", "ellipse"])
  }

  public func test(seed: UInt64) throws -> Examples? {
    var random = RandomStream(seed: 3, name: "dsprites/test")
    return DSprites.examples(at: DSprites.coarse.shuffled(using: &random), size: size)
  }
}

extension DSprites {
  /// Every fourth orientation and place of the grid, 3 · 6 · 10 · 8 · 8 pictures by their places.
  static var coarse: [Int] {
    (0..<count).filter { place in
      let values = values(at: place)
      return values[2] % 4 == 0 && values[3] % 4 == 0 && values[4] % 4 == 0
    }
  }

  /// The pictures at places of the grid, as `inputs`, with their `factors` and the silhouettes as labels.
  ///
  /// - Precondition: Each place is in `0..<count`.
  public static func examples(at places: [Int], size: Int = 64) -> Examples {
    let values = places.map(values(at:))
    let pixels = Parallel.map(places) { picture(at: $0, size: size) }
    return Examples(
      inputs: Tensor(pixels.flatMap { $0 }, shape: [places.count, size, size, 1]),
      labels: values.map { $0[0] },
      [
        "factors": Tensor(
          values.flatMap { $0.map { Float($0) } }, shape: [places.count, factors.count])
      ])
  }
}
