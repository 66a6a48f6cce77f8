import Layers
public import Settings
public import Symmetry

/// The settings of `{kind: page}`: the direction of lines of text, and a network that looks at parts of the image and tells
/// which of its four quarter turns is upright.
///
/// Both are `ChosenTie`, of `TextLines` or, without `skew`, of `QuarterTurns`: the network is the same, and can be
/// trained on parts alone, images of `part` × `part` pixels.
public struct PageOptions: CanonicalizerOptions {
  public static let kind = "page"
  public static let summary =
    "Turns text upright: its lines by their profile, quarter turns by a network that sees letters."
  public static let isLearned = true
  public var channels = 16
  public var part = 64
  public var skew = true
  public var reach: Float = 20
  public var prior: Float = 1
  public init() {}

  public mutating func read(_ keys: inout Keys, for domain: any Domain) throws(SettingsError) {
    let images = try keys.images(domain, Self.kind)
    try keys.read("channels", &channels, in: 1...256, "of the network's first layer")
    try keys.read("part", &part, in: 16...256, "side of the parts that the network sees, in pixels")
    try keys.read("skew", &skew, "find the lines' direction; false: quarter turns alone")
    if skew || keys.lists {
      try keys.read("reach", &reach, in: 1...45, "how many degrees from an axis lines may run")
    }
    try keys.read("prior", &prior, in: 0...1e4, "weight of the loss towards upright")
    guard images.size >= part || keys.lists else {
      throw keys.failure("'part' is \(part), and images are of \(images.size) pixels")
    }
    try keys.refuse(weights: 144, channels, channels)
  }

  public var isOfParts: Bool { true }
  /// A frozen one may have its prior: that is what it has by default.
  public var teaching: [String] { [] }

  public func make(_ build: CanonicalizerBuild) throws(SettingsError) -> any TrainableCanonicalizer
  {
    let images = try build.images(Self.kind)
    var random = build.random()
    let network = Parts(
      Backbone.letterCNN(channels: images.channels, width: channels, outputs: 1, using: &random),
      size: part)
    guard skew else { return ChosenTie(QuarterTurns(border: images.border), network: network) }
    return ChosenTie(
      TextLines(reach: Double(reach) * .pi / 180, border: images.border), network: network)
  }
}
