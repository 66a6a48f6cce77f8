public import Settings
public import Symmetry
import TensorCore

/// The settings of `{kind: stepped-mnist}`: digits in pairs that are turned by whole steps of a cycle, of which few are
/// trained on and all are tested (after Dinh & Deny).
///
/// What turns them is a turn about the middle, or any generator that goes around, such as one that was found in pairs: then
/// a step is that part of once around.
///
/// Examples hold `inputs`, `partner`, and the steps `pose` and `partnerPose` that upright digits were turned by,
/// `[count, 1]`; `element` is the difference. Training pairs are drawn anew whenever they are seen, with two steps of
/// −`reach`…`reach`; each digit of the test part is there at all steps.
public struct SteppedDigitsOptions: SteppedOptions {
  public static let kind = "stepped-mnist"
  public static let summary =
    "MNIST's digits in pairs, turned by steps of a cycle: few to train on, all to test."
  public var source = DigitsSource()
  public var order = 10
  public var reach = 1
  public var tested = 2000
  /// Six numbers of one that goes around; a turn about the middle where it is empty.
  public var generators: [Float] = []
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain { images }
  public var task: String { "classify" }
  public var symmetries: [String] { generators.isEmpty ? ["C\(order)"] : [] }

  /// What goes around.
  private var motion: any ImageMotion {
    PlanarAffine(sixEach: generators).map { AlongGenerator($0.generators[0]) } ?? Turns()
  }
  public var orders: [Int] { [order] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try source.read(&keys)
    try keys.read("order", &order, in: 2...64, "how many steps go once around")
    try keys.read("reach", &reach, in: 0...32, "how many steps each way are trained on")
    try keys.read("tested", &tested, in: 16...50_000, "digits of the test part, each at all steps")
    if 2 * reach + 1 > order {
      throw keys.failure(
        "'reach' is \(reach) each way, which of 'order' \(order) steps are some twice; at most \((order - 1) / 2)"
      )
    }
    try keys.readGenerators(&generators)
    if let own = PlanarAffine(sixEach: generators) {
      guard own.dimension == 1, own.generators[0].isPeriodic else {
        throw keys.failure(
          "'generators' must be the six numbers of one that goes around, as a turn does: steps of another never come back"
        )
      }
    }
    try keys.refuse(weights: tested, order, 2 * 784)
    try input.readDigits(&images)
  }

  /// Digits by their places, turned by steps.
  private func pairs(
    _ digits: LabeledImages, _ places: [Int], _ steps: [(a: Int, b: Int)]
  ) -> Examples {
    let originals = digits.images.gathered(places)
    func seen(_ steps: [Int]) -> Tensor {
      let motion = motion
      return motion.act(
        steps.map { motion.group.exp([2 * .pi * Double($0) / Double(order)]) }, on: originals,
        border: images.border)
    }
    func column(_ numbers: [Int]) -> Tensor {
      Tensor(numbers.map { Float($0) }, shape: [numbers.count, 1])
    }
    return Examples(
      inputs: seen(steps.map(\.a)), labels: places.map { digits.labels[$0] },
      [
        "partner": seen(steps.map(\.b)), "pose": column(steps.map(\.a)),
        "partnerPose": column(steps.map(\.b)), "element": column(steps.map { $0.b - $0.a }),
      ])
  }

  private func drawn(_ digits: LabeledImages, _ places: [Int], name: String, seed: UInt64)
    -> Examples
  {
    let steps = places.enumerated().map { n, place in
      var random = RandomStream(seed: seed, name: "steps/\(name)/\(n)/\(place)")
      let all = 2 * reach + 1
      let a = Int(random.uniformDouble() * Double(all))
      // Another step, where there is one: the same view twice says nothing of how codes move.
      let b = (a + 1 + Int(random.uniformDouble() * Double(max(1, all - 1)))) % all
      return (a - reach, b - reach)
    }
    return pairs(digits, places, steps)
  }

  private func digits(_ part: Digits.Part) throws -> LabeledImages {
    try Digits(folder: source.path).rotated(part, isUpright: true, variant: source.variant)
  }

  public func load(seed: UInt64) throws -> Dataset {
    let (train, valid) = (try digits(.train), try digits(.valid))
    return Dataset(
      stream: ExampleStream(count: train.count) { places, epoch in
        drawn(train, places, name: "\(epoch)", seed: seed)
      },
      valid: drawn(valid, Array(0..<valid.count), name: "valid", seed: seed),
      classNames: train.classNames)
  }

  public func test(seed: UInt64) throws -> Examples? {
    let digits = try digits(.test)
    let places = (0..<min(tested, digits.count) * order).map { $0 / order }
    return pairs(digits, places, places.indices.map { ($0 % order, ($0 + 1) % order) })
  }
}
