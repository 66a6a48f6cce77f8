public import Datasets
import Layers
public import Settings
import Symmetry
import TensorCore

/// The settings of `model: {kind: transport}`.
public struct TransportOptions: ModelOptions {
  public static let kind = "transport"
  public static let summary =
    "A classifier of codes that a shift operator moves to their canonical place: a latent canonicalizer."
  public var order = 10
  public var dimension = 200
  public var hidden = 256
  public var dropout: Float = 0.3
  public var references = 5000
  public var neighbors = 3
  public var agreement: Float = 10

  public init() {}

  public mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError) {
    let own = (data as? any SteppedOptions)?.orders
    if let own, own.count == 1 { order = own[0] }
    try keys.read("order", &order, in: 2...1024, "after how many steps the transform goes around")
    if let own, own != [order] {
      throw keys.failure("'order' is \(order), but the data go around after \(own)")
    }
    try keys.read("dimension", &dimension, in: 2...65_536, "numbers of a latent vector")
    guard dimension % order == 0 else {
      throw keys.failure(
        "'dimension' is \(dimension), which a period of \(order) numbers does not divide")
    }
    try keys.read(
      "hidden", &hidden, in: 0...65_536, "units of the classifier's two layers; 0: a linear one")
    try keys.read("dropout", &dropout, in: 0...0.95, "after each of the two")
    try keys.read("references", &references, in: 1...1_000_000, "codes that are compared with")
    try keys.read("neighbors", &neighbors, in: 1...1000, "how many of the nearest are asked")
    try keys.read(
      "agreement", &agreement, in: 0...1000, "how much agreement of two views counts")
    try keys.refuse(weights: dimension, data.domain.shape.reduce(1, *))
    try keys.refuse(weights: dimension, max(1, hidden))
    try keys.refuse(weights: dimension, references)
  }

  public func make(_ build: ModelBuild) throws(SettingsError) -> any TrainableModel {
    guard build.classNames.count > 1 else {
      throw Keys().failure(
        "'model' is 'transport', which tells classes apart, and the data have none")
    }
    var random = RandomStream(seed: build.seed, name: "transport")
    let pixels = build.domain.shape.reduce(1, *)
    let encoder = Sequential([Function.flatten, LinearMap(pixels, dimension, using: &random)])
    let classes = build.classNames.count
    let classifier =
      hidden == 0
      ? Sequential([Linear(dimension, classes, using: &random)])
      : Sequential([
        Linear(dimension, hidden, using: &random), Function.relu, Dropout(dropout),
        Linear(hidden, hidden, using: &random), Function.relu, Dropout(dropout),
        Linear(hidden, classes, using: &random),
      ])
    return TransportModel(
      encoder: encoder, classifier: classifier,
      representation: Regular(FiniteAbelian([order]), copies: dimension / order),
      references: references, neighbors: neighbors, agreement: agreement, domain: build.domain,
      classNames: build.classNames)
  }
}
