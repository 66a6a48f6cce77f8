public import Settings
public import Symmetry
public import TensorCore

/// The settings of `{kind: algebra-cnn}`: a small CNN under a Lie-algebra convolution.
public struct AlgebraCNNOptions: BackboneOptions {
  public static let kind = "algebra-cnn"
  public static let summary =
    "A small CNN under a Lie-algebra convolution: over a bounded window of a group of affine maps, by a learned kernel."
  public var group = "SO2"
  /// Generators of one's own, the rows of (A, t), six numbers each; the named group's where it is empty.
  public var generators: [Float] = []
  /// Radii of the window; the group's own where it is empty.
  public var window: [Float] = []
  public var nodes = 8
  public var sampling = AlgebraConvolution.Sampling.grid
  public var correction = true
  public var contrast: Float = 100
  public var width = 16
  public init() {}

  private var algebra: PlanarAffine {
    PlanarAffine(sixEach: generators) ?? PlanarAffine(named: group) ?? .linear
  }

  private var radii: [Double] {
    window.isEmpty ? algebra.window.radii : window.map { Double($0) }
  }

  public mutating func read(
    _ keys: inout Keys, for domain: any Domain, output: [Int]
  ) throws(SettingsError) {
    _ = try keys.images(domain, Self.kind)
    try keys.read("group", &group, among: PlanarAffine.named.map(\.name), "whose algebra")
    try keys.readGenerators(&generators)
    try keys.read(
      "window", &window,
      "a radius for each generator, in radians, halves of the side, logarithms; empty: half around where a generator goes around, else 0.3"
    )
    let dimension = algebra.dimension
    guard window.isEmpty || window.count == dimension,
      window.allSatisfy({ $0.isFinite && $0 >= 0 && $0 <= 10 })
    else {
      throw keys.failure(
        "'window' is \(window) but must be \(dimension) numbers from 0 to 10, one for each generator"
      )
    }
    let reach = zip(algebra.generators, radii).reduce(0) { sum, part in
      sum + part.1 * part.0.tangent.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
    guard reach <= 30 else {
      throw keys.failure(
        "'window' and 'generators' reach maps by up to e^\(Int(min(reach, 1e6))), more than images can be resampled by"
      )
    }
    try keys.read(
      "nodes", &nodes, in: 1...256,
      "nodes along each axis of the window, each with a pass of the network")
    var samples = 1
    for radius in radii where radius > 0 { samples = min(samples * nodes, 1 << 20) }
    guard samples <= 1024 else {
      throw keys.failure(
        "\(nodes) 'nodes' along \(dimension) axes are more than 1,024 copies of each image")
    }
    try keys.read("sampling", &sampling, "how the window is summed over in training")
    try keys.read(
      "correction", &correction, "a learned map of the group's matrices, at first the identity")
    try keys.read(
      "contrast", &contrast, in: 0...100,
      "the most that the logarithm of a weight of the mean differs from 0; 0: a constant kernel, 100: any"
    )
    try keys.read("width", &width, in: 1...4096, "channels of the first stage")
    try keys.refuse(weights: 144, width, width)
  }

  public func make(
    input: [Int], output: [Int], using random: inout RandomStream
  ) throws(SettingsError) -> any Layer {
    let network = Backbone.smallCNN(
      channels: input[2], width: width, classes: output.reduce(1, *), using: &random)
    return AlgebraConvolution(
      algebra, window: AlgebraWindow(radii), layer: network, isCorrected: correction, nodes: nodes,
      sampling: sampling, contrast: contrast < 100 ? contrast : .infinity, using: &random)
  }
}
