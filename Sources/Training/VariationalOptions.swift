public import Datasets
import Layers
public import Settings
import Symmetry
import TensorCore

/// The settings of `model: {kind: variational}`.
public struct VariationalOptions: ModelOptions {
  public static let kind = "variational"
  public static let summary =
    "A variational autoencoder (VAE, beta-VAE, beta-TCVAE), with a codebook of symmetries (CFASL) where wanted."

  /// What is learned of how codes move.
  public enum Symmetry: String, Sendable, CaseIterable {
    case none
    /// A codebook of generators (CFASL).
    case codebook
  }

  public var dimension = 10
  public var width = 32
  public var hidden = 128
  public var symmetry = Symmetry.none
  public var elements = 10
  public var deviation: Float = 0.1
  public var temperature: Float = 0.5
  public var settings = VariationalModel.Settings()

  public init() {}

  public mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError) {
    if !keys.lists {
      let images = try keys.images(data.domain, Self.kind)
      guard images.size % 16 == 0 else {
        throw keys.failure(
          "'\(Self.kind)' halves images four times, and 16 does not divide the side of \(images.text); set 'size' to 32 or 64"
        )
      }
    }
    try keys.read("dimension", &dimension, in: 1...256, "numbers of a code")
    try keys.read("width", &width, in: 1...1024, "channels of the first convolution")
    try keys.read("hidden", &hidden, in: 1...65_536, "units of the linear layers")
    try keys.refuse(weights: 16, 2 * width, 2 * width)
    if let images = data.domain as? ImageDomain {
      try keys.refuse(weights: images.size / 16, images.size / 16, 2 * width, hidden)
    }
    try keys.read("likelihood", &settings.likelihood, "what pixels are taken to be")
    try keys.read("objective", &settings.objective, "what codes are held to")
    try keys.read(
      "beta", &settings.beta, in: 0...10_000,
      "the weight of the divergence, or of the total correlation")
    try keys.read(
      "anneal", &settings.anneal, in: 0...10_000_000,
      "training steps over which that weight grows from 0; 0: none")
    if settings.objective == .totalCorrelation || keys.lists {
      if data is DSpritesOptions, settings.population == 0 { settings.population = DSprites.count }
      try keys.read(
        "population", &settings.population, in: 0...1_000_000_000,
        "how many pictures the data have; by default dsprites' 737,280")
      if settings.population < 2 && !keys.lists {
        throw keys.failure(
          "'objective' is 'total-correlation', which asks how many pictures the data have; set 'population'"
        )
      }
    }
    try keys.read("symmetry", &symmetry, "what is learned of how codes move")
    if symmetry == .codebook || keys.lists { try readCodebook(&keys) }
  }

  private mutating func readCodebook(_ keys: inout Keys) throws(SettingsError) {
    try keys.read("elements", &elements, in: 1...256, "matrices of a section")
    try keys.read("deviation", &deviation, in: 1e-6...10, "of the matrices' first numbers")
    try keys.read("temperature", &temperature, in: 1e-3...100, "of the switches' Gumbel softmax")
    try keys.read(
      "threshold", &settings.threshold, in: 0...100,
      "how far numbers of two codes are apart where a factor has changed")
    let range: ClosedRange<Float> = 0...10_000
    try keys.read("parallel", &settings.parallel, in: range, "weight: a section, one direction")
    try keys.read(
      "perpendicular", &settings.perpendicular, in: range, "weight: sections, right angles")
    try keys.read("sparse", &settings.sparse, in: range, "weight: along one number of a code")
    try keys.read("commuting", &settings.commuting, in: range, "weight: elements commute")
    try keys.read("prediction", &settings.prediction, in: range, "weight: switches tell changes")
    try keys.read("encoding", &settings.encoding, in: range, "weight: codes reach their partners")
    try keys.read("decoding", &settings.decoding, in: range, "weight: pictures of moved codes")
    // Every product of two elements is there at once.
    try keys.refuse(weights: dimension, elements, dimension, dimension, elements, dimension)
  }

  public func check(_ training: TrainingOptions, _ keys: Keys) throws(SettingsError) {
    let piece = training.batch / training.pieces
    if training.batch > 0, symmetry == .codebook, piece % 2 == 1 {
      throw keys.failure(
        "'batch' is \(training.batch)\(training.pieces > 1 ? " in \(training.pieces) pieces" : ""), and a codebook learns from the pairs of two halves; set an even one"
      )
    }
    if training.batch > 0, settings.objective == .totalCorrelation, piece < 2 {
      throw keys.failure(
        "'pieces' are of one example each, which has no total correlation; set a larger 'batch'")
    }
  }

  public func make(_ build: ModelBuild) throws(SettingsError) -> any TrainableModel {
    guard let images = build.domain as? ImageDomain, images.size % 16 == 0 else {
      throw Keys().failure(
        "'\(Self.kind)' is for images whose side 16 divides, not for \(build.domain.text)")
    }
    var random = RandomStream(seed: build.seed, name: "variational")
    let encoder = HalvingEncoder(
      size: images.size, channels: images.channels, width: width, hidden: hidden,
      outputs: 2 * dimension, using: &random)
    let decoder = DoublingDecoder(
      inputs: dimension, hidden: hidden, size: images.size, channels: images.channels,
      width: width, using: &random)
    let codebook =
      symmetry == .codebook
      ? SymmetryCodebook(
        dimension: dimension, elements: elements, deviation: deviation, temperature: temperature,
        using: &random) : nil
    return VariationalModel(
      encoder: encoder, decoder: decoder, dimension: dimension, codebook: codebook,
      settings: settings, domain: build.domain)
  }
}
