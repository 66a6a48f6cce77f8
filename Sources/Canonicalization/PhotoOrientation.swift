public import Autodiff
import Layers
public import Settings
public import Symmetry
public import TensorCore

/// The four quarter turns, of which an image says nothing yet: a network is to choose.
public struct QuarterTurns: ImageCanonicalizer {
  public typealias PoseGroup = Cyclic
  public let action: ImageAction<Cyclic>

  public init(border: BorderPolicy = .edge) { action = ImageAction(Cyclic(4), border: border) }

  public func poses(of batch: Tensor) -> [Pose<Cyclic.Element>] {
    let turns = action.group.elements
    return [Pose](
      repeating: Pose(turns[0], ties: Array(turns[1...])), count: batch.shape[0])
  }
}

/// The settings of `{kind: photo}`: which quarter turn of a photograph is upright, by a network that sees it whole.
///
/// It is `ChosenTie` of `QuarterTurns`: the network looks at the image in all four turns, and at their mirror images, and gives each turn
/// a score.
public struct PhotoOptions: CanonicalizerOptions {
  public static let kind = "photo"
  public static let summary =
    "Turns photographs upright by quarter turns: a network looks at the whole image in all four."
  public static let isLearned = true
  public var channels = 32
  public var prior: Float = 1
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    try keys.read("channels", &channels, in: 1...256, "of the network's first layer")
    try keys.read("prior", &prior, in: 0...1e4, "weight of the loss towards upright")
    guard images.size >= 16 || keys.lists else {
      throw keys.failure(
        "images are of \(images.size) pixels, and the network halves 16 three times")
    }
    try keys.refuse(weights: 144, channels, channels)
    try keys.refuse(weights: images.size / 8 * (images.size / 8), 4, channels)
  }

  /// A frozen one may have its prior: that is what it has by default.
  public var teaching: [String] { [] }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let images = try build.images(Self.kind)
    var random = build.random()
    let network = Backbone.photoCNN(
      size: images.size, channels: images.channels, width: channels, outputs: 1, using: &random)
    return ChosenTie(QuarterTurns(border: images.border), network: MirrorAveraged(network))
  }
}

extension QuarterTurns: ExportableCanonicalizer {
  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    throw NotExportable("All quarter turns alike are no pose of an image.")
  }

  public func candidateVariables(of batch: Variable, on tape: Tape) -> [PoseVariables] {
    let zero = batch.zeroPerMember
    return (0..<4).map { turn in
      let matrix = PlanarIsometry(quarterTurns: turn).matrix.map { Float($0) }
      return PoseVariables(matrix: (zero + Variable(Tensor(matrix))).reshaped([-1, 2, 2]))
    }
  }
}
