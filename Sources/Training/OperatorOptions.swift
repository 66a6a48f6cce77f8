public import Datasets
import Layers
public import Settings
import Symmetry
import TensorCore

/// The settings of `model: {kind: operators}`.
public struct OperatorOptions: ModelOptions {
  public static let kind = "operators"
  public static let summary =
    "An autoencoder on whose latent vector cyclic transforms act by given operators."

  /// What encodes and decodes.
  public enum Architecture: String, Sendable, CaseIterable {
    /// A matrix each way, without bias.
    case linear
    /// Convolutions and a linear layer, and back.
    case convolutional
  }

  /// What a pair says of what lies between.
  public enum Supervision: String, Sendable, CaseIterable {
    /// The steps.
    case steps
    /// Nothing: they are found by phase correlation.
    case none
  }

  /// How steps act on latent vectors.
  public enum Operator: String, Sendable, CaseIterable {
    /// The regular representation: numbers change places.
    case shift
    /// Its Fourier transform: complex numbers turn.
    case diagonal
    /// The same in real blocks, of which each turns a plane or changes a sign.
    case irreducible
    /// A turn of the first two numbers for each transform, and nothing else: the baseline.
    case disentangled
  }

  public var action = Operator.shift
  public var dimension = 800
  public var mixers = false
  public var architecture = Architecture.linear
  public var width = 16
  public var supervision = Supervision.steps
  /// The orders of the transforms; those of the data where it is empty.
  public var orders: [Int] = []

  public init() {}

  public mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError) {
    if let paired = data as? any PairedOptions {
      throw keys.failure(
        "data of kind '\(type(of: data).kind)' move by \(paired.group.name), not by steps of a cycle; a model of kind 'class-pose' is for them"
      )
    }
    try keys.read("action", &action, "how steps act on latent vectors")
    try keys.read("dimension", &dimension, in: 2...65_536, "numbers of a latent vector")
    var numbers = orders.map { Float($0) }
    if numbers.isEmpty {
      numbers = ((data as? any SteppedOptions)?.orders ?? [10]).map { Float($0) }
    }
    try keys.read("orders", &numbers, "after how many steps each transform goes around")
    guard !numbers.isEmpty, numbers.count <= 8,
      numbers.allSatisfy({ $0 == $0.rounded() && (2...1024).contains($0) })
    else { throw keys.failure("'orders' must be up to 8 whole numbers from 2 to 1024") }
    orders = numbers.map { Int($0) }
    if let own = (data as? any SteppedOptions)?.orders, own != orders {
      throw keys.failure("'orders' are \(orders), but the data go around after \(own)")
    }
    try keys.read(
      "mixers", &mixers,
      "each transform acts by an operator of its own, with a learned matrix between")
    if mixers && (orders.count == 1 || action == .disentangled) && !keys.lists {
      throw keys.failure(
        "'mixers' are between the operators of several transforms, with 'action: diagonal'")
    }
    _ = try representations(keys)
    try keys.read("architecture", &architecture, "what encodes and decodes")
    if architecture == .convolutional || keys.lists {
      try keys.read("width", &width, in: 1...1024, "channels of the first convolution")
      if !keys.lists {
        let images = try keys.images(data.domain, "convolutional")
        guard images.size % 4 == 0 else {
          throw keys.failure(
            "'architecture' is 'convolutional', for images of a side that 4 divides, not \(images.text)"
          )
        }
      }
    }
    try keys.read("supervision", &supervision, "what is told of pairs")
    if supervision == .none && (action != .diagonal || orders.count > 1) {
      throw keys.failure(
        "'supervision' is 'none', which is for one transform and 'action: diagonal'")
    }
    if supervision == .none { try keys.refuse(weights: orders[0], 256, dimension) }
    if architecture == .convolutional, let images = data.domain as? ImageDomain {
      try keys.refuse(weights: images.size, images.size, 4, width)
      try keys.refuse(weights: images.size, images.size, width, dimension / 8 + 1)
    }
    try keys.refuse(weights: dimension, data.domain.shape.reduce(1, *))
    if mixers { try keys.refuse(weights: dimension, dimension) }
  }

  /// The operators: one for each transform with mixers, one for all without.
  private func representations(
    _ keys: Keys
  ) throws(SettingsError) -> [any Representation<FiniteAbelian>] {
    var product = 1
    for order in orders {
      let (next, overflow) = product.multipliedReportingOverflow(by: order)
      product = overflow ? Int.max : next
    }
    // Only those that act for all transforms at once are as large as the group.
    guard product <= dimension || action == .disentangled || mixers else {
      throw keys.failure(
        "'dimension' is \(dimension), fewer than the group of 'orders' \(orders) has elements")
    }
    let group = FiniteAbelian(orders)
    func fits(_ period: Int, _ words: String) throws(SettingsError) -> Int {
      guard dimension % period == 0 else {
        throw keys.failure(
          "'dimension' is \(dimension), which \(words) of \(period) numbers does not divide")
      }
      return dimension / period
    }
    switch action {
    case .shift:
      guard orders.count == 1 || !mixers else {
        throw keys.failure("'shift' acts for all transforms at once; 'diagonal' is for 'mixers'")
      }
      return [Regular(group, copies: try fits(group.order, "a period"))]
    case .diagonal:
      guard mixers else {
        return [Diagonal.regular(group, copies: try fits(2 * group.order, "a cycle"))]
      }
      _ = try fits(2, "a complex number")
      return orders.indices.map { t in
        Diagonal(
          group,
          frequencies: (0..<dimension / 2).map { j in
            orders.indices.map { $0 == t ? j % orders[t] : 0 }
          })
      }
    case .irreducible:
      guard !mixers else {
        throw keys.failure(
          "'irreducible' acts for all transforms at once; 'diagonal' is for 'mixers'")
      }
      let all = Irreducible.all(group).map { $0 as any Representation<FiniteAbelian> }
      let copies = try fits(group.order, "a period")
      return [DirectSum((0..<copies).flatMap { _ in all })]
    case .disentangled:
      let turns = orders.indices.map { t in
        Irreducible(group, frequencies: orders.indices.map { $0 == t ? 1 : 0 })
      }
      let rest = dimension - turns.reduce(0) { $0 + $1.dimension }
      guard rest >= 0 else {
        throw keys.failure("'dimension' is \(dimension), too few for \(orders.count) turns")
      }
      let still = Still(group, dimension: rest)
      return [
        DirectSum(turns.map { $0 as any Representation<FiniteAbelian> } + (rest > 0 ? [still] : []))
      ]
    }
  }

  public func make(_ build: ModelBuild) throws(SettingsError) -> any TrainableModel {
    let operators = try representations(Keys())
    let pixels = build.domain.shape.reduce(1, *)
    var random = RandomStream(seed: build.seed, name: "operators")
    let encoder, decoder: any Layer
    switch (architecture, build.domain) {
    case (.convolutional, let images as ImageDomain):
      encoder = Backbone.poseCNN(
        size: images.size, channels: images.channels, width: width, hidden: 256,
        outputs: dimension, using: &random)
      decoder = Backbone.decoder(
        inputs: dimension, size: images.size, channels: images.channels, width: width,
        using: &random)
    default:
      encoder = Sequential([Function.flatten, LinearMap(pixels, dimension, using: &random)])
      decoder = LinearMap(dimension, pixels, using: &random)
    }
    let between = (1..<max(1, mixers ? operators.count : 1)).map { _ in
      LinearMap(dimension, dimension, using: &random)
    }
    return OperatorModel(
      encoder: encoder, decoder: decoder, operators: operators, mixers: between,
      domain: build.domain, isWeak: supervision == .none)
  }
}
