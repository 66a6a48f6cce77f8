public import Settings
public import Symmetry
public import TensorCore

/// The settings of `{kind: plume}`: smoke in a box, and how it changes.
public struct PlumeOptions: RuledOptions {
  public static let kind = "plume"
  public static let summary =
    "Smoke that rises in a box of fluid, of a small solver: what quarter turns leave alone but for its buoyancy."
  public var buoyancy: Float = 0.1
  public var count = 256
  public var size = 32
  public var steps = 4
  /// How many states of one development are among them.
  public var along = 6
  public init() {}

  private var plume: SmokePlume { SmokePlume(size: size, buoyancy: Double(buoyancy)) }

  public var domain: any Domain { ImageDomain(size: size, channels: 3) }
  public var task: String { "flow" }
  public var symmetries: [String] { ["C4"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read(
      "buoyancy", &buoyancy, in: 0...10, "what breaks the symmetry: by how much smoke rises")
    try keys.read(
      "count", &count, in: 8...100_000, "states to train on; a quarter of them to validate")
    try keys.read("size", &size, in: 8...128, "pixels of a side")
    guard size % 4 == 0 else { throw keys.failure("'size' must be a multiple of 4, not \(size)") }
    try keys.read("steps", &steps, in: 1...100, "steps of the solver to the next state")
    try keys.read(
      "along", &along, in: 1...100,
      "how many states of one box are among them, each the next of the one before: what a rollout meets"
    )
  }

  public func next(_ states: Tensor) -> Tensor { plume.states(after: steps, states) }

  private func part(_ count: Int, seed: UInt64) -> Examples {
    let first = plume.starts((count + along - 1) / along, seed: seed)
    // All boxes' first states, then their second: of a part of them every box is as far on.
    let developed = Tensor.concatenated([first] + states(after: first, steps: along))
    let inputs = developed.sliced(0..<count)
    let boxes = first.shape[0]
    return Examples(
      inputs: inputs, ["change": developed.sliced(boxes..<boxes + count) - inputs])
  }

  public func load(seed: UInt64) throws -> Dataset {
    Dataset(train: part(count, seed: 1), valid: part(max(8, count / 4), seed: 2))
  }

  public func test(seed: UInt64) throws -> Examples? { part(256, seed: 3) }
}
