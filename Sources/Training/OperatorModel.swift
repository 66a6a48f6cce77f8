public import Autodiff
public import Datasets
public import Layers
public import Settings
public import Symmetry
public import TensorCore

/// An autoencoder on whose whole latent vector a group acts, by representations that are given: distributed operators
/// (Bouchacourt, Ibrahim & Deny 2021, arXiv 2102.05623).
///
/// Of a pair *x*₁, *x*₂ = *g*·*x*₁ it makes |*D* *E* *x*₁ − *x*₁|² + |*D* *ρ*(*g*) *E* *x*₁ − *x*₂|² small, means over pixels.
/// Several transforms act one after the other, with learned mixers between them where they are wanted.
public struct OperatorModel: TraversableModel {
  public let domain: any Domain
  public let group: FiniteAbelian
  public let encoder, decoder: any Layer
  /// One for each transform that acts on its own, or one for all.
  public let operators: [any Representation<FiniteAbelian>]
  /// Between operators, one fewer than these; empty where nothing mixes.
  public let mixers: [LinearMap]

  public init(
    encoder: any Layer, decoder: any Layer, operators: [any Representation<FiniteAbelian>],
    mixers: [LinearMap] = [], domain: any Domain
  ) {
    require(
      !operators.isEmpty && (mixers.isEmpty || mixers.count == operators.count - 1),
      "\(mixers.count) mixers between \(operators.count) operators")
    (self.encoder, self.decoder, self.operators) = (encoder, decoder, operators)
    (self.mixers, self.domain, group) = (mixers, domain, operators[0].group)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    encoder.parameters.map { ("backbone.encoder.\($0.name)", $0.parameter) }
      + decoder.parameters.map { ("backbone.decoder.\($0.name)", $0.parameter) }
      + mixers.enumerated().map { ("backbone.mixer.\($0.offset).weight", $0.element.weight) }
  }

  /// The elements of rows of steps.
  ///
  /// - Throws: `DatasetError` where they are no whole numbers, one a transform.
  private func elements(_ tensor: Tensor?) throws(DatasetError) -> [FiniteAbelian.Element] {
    let factors = group.orders.count
    guard let tensor else {
      throw .lacking("an operator needs 'element', the steps between inputs and partners")
    }
    guard Array(tensor.shape.extents.dropFirst()) == [factors] else {
      throw .lacking("'element' has shape \(tensor.shape), and the group has \(factors) factors")
    }
    let numbers = tensor.elements
    guard numbers.allSatisfy({ $0 == $0.rounded() && abs($0) < 1e6 }) else {
      throw .lacking("'element' holds numbers that are no whole steps")
    }
    return (0..<tensor.shape[0]).map { n in
      group.element((0..<factors).map { Int(numbers[n * factors + $0]) })
    }
  }

  public func prepared(_ examples: Examples) throws(DatasetError) -> Examples {
    _ = try elements(examples["element"])
    guard examples["partner"]?.shape == examples.inputs.shape else {
      throw .lacking("an operator needs 'partner', of the shape of 'inputs'")
    }
    return examples
  }

  /// Latent vectors as elements move them.
  public func moved(
    _ codes: Variable, by elements: [FiniteAbelian.Element], on tape: Tape
  ) -> Variable {
    var result = codes
    for (t, representation) in operators.enumerated() {
      func opened<R: Representation>(_ r: R) -> Variable where R.Group == FiniteAbelian {
        // Each operator sees its own transform.
        let own =
          operators.count == 1
          ? elements
          : elements.map { g in
            FiniteAbelian.Element(g.steps.enumerated().map { $0.offset == t ? $0.element : 0 })
          }
        return result.acted(by: r, own)
      }
      result = opened(representation)
      if t < mixers.count { result = result.matmul(tape(mixers[t].weight)) }
    }
    return result
  }

  private func reconstructions(
    _ inputs: Tensor, _ elements: [FiniteAbelian.Element], on tape: Tape
  ) -> (first: Variable, second: Variable) {
    let codes = encoder(Variable(inputs), on: tape)
    let still = [FiniteAbelian.Element](repeating: group.identity, count: elements.count)
    let both = Variable.concatenated([
      moved(codes, by: still, on: tape), moved(codes, by: elements, on: tape),
    ])
    let pictures = decoder(both, on: tape)
    let count = elements.count
    return (pictures.sliced(0..<count), pictures.sliced(count..<2 * count))
  }

  public func loss(_ examples: Examples, on tape: Tape) -> Variable {
    guard let partner = examples["partner"], let elements = try? elements(examples["element"])
    else { return Variable(Tensor(.nan)) }
    let (first, second) = reconstructions(examples.inputs, elements, on: tape)
    let count = examples.count
    let flat = { (tensor: Tensor) in Variable(tensor.reshaped([count, -1])) }
    return (first - flat(examples.inputs)).squared().mean()
      + (second - flat(partner)).squared().mean()
  }

  /// Calls `body` with rows of inputs, partners, and both reconstructions, a few hundred at a time.
  private func forEachLot(
    _ examples: Examples,
    _ body: (_ x: Tensor, _ y: Tensor, _ first: Tensor, _ second: Tensor) -> Void
  ) {
    for start in stride(from: 0, to: examples.count, by: 256) {
      let part = examples.selecting(start..<min(examples.count, start + 256))
      guard let partner = part["partner"], let elements = try? elements(part["element"]) else {
        return
      }
      let (first, second) = reconstructions(part.inputs, elements, on: .inference())
      let rows = [part.count, -1]
      body(part.inputs.reshaped(rows), partner.reshaped(rows), first.value, second.value)
    }
  }

  /// The mean squared error of the second view.
  public func quality(on examples: Examples) -> Quality {
    var meter = QualityMeter()
    forEachLot(examples) { _, y, _, second in meter.add(outputs: second, targets: y) }
    return meter.quality
  }

  /// Mean squared errors of both views, and of what needs no model: the mean picture, the first view as the second.
  public func figures(
    on examples: Examples
  ) throws(DatasetError) -> [(name: String, value: Double)] {
    guard let partner = examples["partner"] else {
      throw .lacking("an operator needs 'partner', of the shape of 'inputs'")
    }
    var meters = (0..<4).map { _ in QualityMeter() }
    let mean = partner.mean([0]).reshaped([1, -1])
    forEachLot(examples) { x, y, first, second in
      meters[0].add(outputs: first, targets: x)
      meters[1].add(outputs: second, targets: y)
      meters[2].add(outputs: mean.broadcast(to: y.shape).contiguous, targets: y)
      meters[3].add(outputs: x, targets: y)
    }
    let names = [
      "first view, squared error", "second view, squared error", "mean picture, squared error",
      "first view as the second, squared error",
    ]
    return zip(names, meters).map { ($0, $1.quality.loss) }
  }

  /// Second views, as the decoder draws them.
  public func traversed(_ examples: Examples, count: Int) -> Tensor {
    let some = examples.selecting(0..<count)
    guard let elements = try? elements(some["element"]) else { return some.inputs }
    return reconstructions(some.inputs, elements, on: .inference()).second.value
      .reshaped(some.inputs.shape)
  }

  public var summary: [(name: String, value: String)] {
    [
      ("input", domain.text),
      ("orders", group.orders.map(String.init).joined(separator: " × ")),
      ("latent numbers", "\(operators[0].dimension)"), ("mixers", "\(mixers.count)"),
    ]
  }
}

/// The settings of `model: {kind: operators}`.
public struct OperatorOptions: ModelOptions {
  public static let kind = "operators"
  public static let summary =
    "A linear autoencoder on whose latent vector cyclic transforms act by given operators."

  /// How steps act on latent vectors.
  public enum Operator: String, Sendable, CaseIterable {
    /// The regular representation: numbers change places.
    case shift
    /// Its Fourier transform: complex numbers turn.
    case diagonal
    /// A turn of the first two numbers for each transform, and nothing else: the baseline.
    case disentangled
  }

  public var action = Operator.shift
  public var dimension = 800
  public var mixers = false
  /// The orders of the transforms; those of the data where it is empty.
  public var orders: [Int] = []

  public init() {}

  public mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError) {
    try keys.read("action", &action, "how steps act on latent vectors")
    try keys.read("dimension", &dimension, in: 2...65_536, "numbers of a latent vector")
    var numbers = orders.map { Float($0) }
    if numbers.isEmpty {
      numbers = ((data as? PolygonsOptions)?.polygons.group.orders ?? [10]).map { Float($0) }
    }
    try keys.read("orders", &numbers, "after how many steps each transform goes around")
    guard !numbers.isEmpty, numbers.count <= 8,
      numbers.allSatisfy({ $0 == $0.rounded() && (2...1024).contains($0) })
    else { throw keys.failure("'orders' must be up to 8 whole numbers from 2 to 1024") }
    orders = numbers.map { Int($0) }
    if let own = (data as? PolygonsOptions)?.polygons.group.orders, own != orders {
      throw keys.failure("'orders' are \(orders), but the data go around after \(own)")
    }
    try keys.read(
      "mixers", &mixers,
      "each transform acts by an operator of its own, with a learned matrix between")
    _ = try representations(keys)
    try keys.refuse(weights: dimension, data.domain.shape.reduce(1, *))
    if mixers { try keys.refuse(weights: dimension, dimension) }
  }

  /// The operators: one for each transform with mixers, one for all without.
  private func representations(
    _ keys: Keys
  ) throws(SettingsError) -> [any Representation<FiniteAbelian>] {
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
    let encoder = Sequential([
      Function.flatten, LinearMap(pixels, dimension, using: &random),
    ])
    let decoder = LinearMap(dimension, pixels, using: &random)
    let between = (1..<max(1, mixers ? operators.count : 1)).map { _ in
      LinearMap(dimension, dimension, using: &random)
    }
    return OperatorModel(
      encoder: encoder, decoder: decoder, operators: operators, mixers: between,
      domain: build.domain)
  }
}
