public import Settings
public import Symmetry
import TensorCore

/// The settings of `{kind: scenes}`: pairs of pictures of the same body, with the element that takes one to the other.
///
/// Examples hold `inputs`, `partner` and `element`, in numbers of the algebra (of a translation its length, of a turn its
/// angle or its axis times the angle), and the orbits as labels. Those of the test part have `pose` besides,
/// the numbers of the element that the body is in, and ways of 20 steps: `steps` `[count, 20, numbers]`,
/// and where they have come after 10 and 20, `partner10` and `partner20`; `partner` is that after one.
public struct SceneOptions: DatasetOptions {
  public static let kind = "scenes"
  public static let summary =
    "Drawn bodies in every pose of a group, in pairs: sprites (R3), several-sprites (R6), colors (T3), "
    + "glyphs (SO2), solids (SO3), rooms (R2xSO2), dsprites (R1xSO2xR2)."
  public var scene = Sprites.name
  public var count = 10_000
  public var size = 32
  public var stream = false
  public init() {}

  private var drawn: any Scene { Scenes.named(scene) }
  public var group: AmbientGroup { drawn.group }
  public var isLinear: Bool { drawn.isLinear }
  public var domain: any Domain { ImageDomain(size: size, channels: drawn.channels) }
  public var task: String { "classify" }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("scene", &scene, among: Scenes.all.map { $0.name }, "what is drawn")
    try keys.read(
      "count", &count, in: 16...10_000_000,
      "pairs to train on; a tenth of them, 2,048 at most, to validate")
    try keys.read("size", &size, in: 8...256, "side of the pictures, in pixels")
    try keys.read(
      "stream", &stream, "draw each pair when it is seen, another one each time; nothing is kept")
    let bytes = 8 * count * size * size * drawn.channels
    if !stream && bytes > MemoryLimit.bytes {
      throw keys.failure(
        "\(count) pairs of \(size) × \(size) × \(drawn.channels) need \(bytes >> 20) MiB, more than \(MemoryLimit.bytes >> 20); set 'stream' to true, which keeps none"
      )
    }
  }

  /// Ways of so many steps, each of a body from one uniform pose to the next, by their places.
  private func ways(_ places: [Int], steps: Int, seed: UInt64, epoch: Int = 0) -> Examples {
    let (drawn, size) = (drawn, size)
    let poses = places.map { n in
      var random = RandomStream(
        seed: seed, name: epoch == 0 ? "scene/\(n)" : "scene/\(n)/\(epoch)")
      return (0...steps).map { _ in drawn.pose(using: &random) }
    }
    return Examples(
      ways: poses, in: drawn.group, labels: places.map { $0 % drawn.orbitCount }
    ) { step in
      let pictures = Parallel.map(Array(places.indices)) { i in
        drawn.draw(places[i] % drawn.orbitCount, poses[i][step], size: size)
      }
      return Tensor(
        pictures.flatMap { $0 }, shape: [places.count, size, size, drawn.channels])
    }
  }

  /// As many pictures of so many a way as an eighth of the memory limit holds.
  private func atMost(_ count: Int, pictures: Int) -> Int {
    min(2048, count, max(8, MemoryLimit.bytes / 8 / (4 * pictures * size * size * drawn.channels)))
  }

  private var validCount: Int { atMost(max(8, count / 10), pictures: 2) }

  public func load(seed: UInt64) throws -> Dataset {
    let valid = ways(Array(0..<validCount), steps: 1, seed: 2)
    let names = (0..<drawn.orbitCount).map { "orbit \($0)" }
    guard stream else {
      return Dataset(
        train: ways(Array(0..<count), steps: 1, seed: 1), valid: valid, classNames: names)
    }
    return Dataset(
      stream: ExampleStream(count: count) { ways($0, steps: 1, seed: 1, epoch: $1) },
      valid: valid, classNames: names)
  }

  public func test(seed: UInt64) throws -> Examples? {
    ways(Array(0..<atMost(max(64, count / 10), pictures: 4)), steps: 20, seed: 3)
  }
}
