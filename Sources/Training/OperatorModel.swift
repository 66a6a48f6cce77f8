public import Autodiff
public import Canonicalization
public import Datasets
public import Layers
public import MessagePassing
public import Symmetry
public import TensorCore

/// An autoencoder on whose whole latent vector a group acts, by representations that are given: distributed operators
/// (Bouchacourt, Ibrahim & Deny 2021, arXiv 2102.05623).
///
/// Of a pair *x*₁, *x*₂ = *g*·*x*₁ it makes |*D* *E* *x*₁ − *x*₁|² + |*D* *ρ*(*g*) *E* *x*₁ − *x*₂|² small, means over pixels.
/// Several transforms act one after the other, with learned mixers between them where they are wanted.
///
/// Weakly supervised it is not told *g*: it takes each element as much as phase correlation of the two codes says, and
/// makes Σ p(*g*) |*D* *ρ*(*g*) *E* *x*₁ − *x*₂|² small, with p the softmax of correlations over a temperature of 0.1.
public struct OperatorModel: TraversableModel {
  public let domain: any Domain
  public let group: FiniteAbelian
  public let encoder, decoder: any Layer
  /// One for each transform that acts on its own, or one for all.
  public let operators: [any Representation<FiniteAbelian>]
  /// Between operators, one fewer than these; empty where nothing mixes.
  public let mixers: [LinearMap]
  /// Whether it finds the elements between pairs itself; for one diagonal operator.
  public let isWeak: Bool
  /// Of the softmax over correlations.
  static let temperature: Float = 0.1

  public init(
    encoder: any Layer, decoder: any Layer, operators: [any Representation<FiniteAbelian>],
    mixers: [LinearMap] = [], domain: any Domain, isWeak: Bool = false
  ) {
    require(
      !isWeak || operators.count == 1 && operators[0] is Diagonal,
      "phase correlation is of one diagonal operator")
    self.isWeak = isWeak
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
    guard let elements = group.elements(steps: tensor) else {
      throw .lacking("'element' holds numbers that are no whole steps")
    }
    return elements
  }

  public func prepared(_ examples: Examples) throws(DatasetError) -> Examples {
    if !isWeak || examples["element"] != nil { _ = try elements(examples["element"]) }
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
    // Without mixers the identity does nothing.
    let still =
      mixers.isEmpty
      ? codes
      : moved(
        codes, by: [FiniteAbelian.Element](repeating: group.identity, count: elements.count),
        on: tape)
    let both = Variable.concatenated([still, moved(codes, by: elements, on: tape)])
    let pictures = decoder(both, on: tape)
    let count = elements.count
    return (pictures.sliced(0..<count), pictures.sliced(count..<2 * count))
  }

  /// How well each element of the group explains pairs of codes, by phase correlation: at most 1, `[batch, order]`.
  public func correlations(_ first: Tensor, _ second: Tensor) -> Tensor {
    guard let diagonal = operators[0] as? Diagonal else { return .zeros([first.shape[0], 0]) }
    return diagonal.phaseCorrelation(first, second)
  }

  /// The elements that phase correlation finds between pairs of inputs, with those that explain them as well.
  public func found(_ inputs: Tensor, _ partners: Tensor) -> [Pose<FiniteAbelian.Element>] {
    let scores = correlations(
      encoder.predict(inputs), encoder.predict(partners))
    return CorrelationPeaks.poses(scores, in: group)
  }

  /// The weakly supervised loss of a batch.
  private func weakLoss(_ x: Tensor, _ y: Tensor, on tape: Tape) -> Variable {
    let codes = encoder(Variable(x), on: tape)
    let (count, order) = (x.shape[0], group.order)
    // Which element it is, is no way for a gradient: what phase a number close to 0 has is chance.
    let scores = correlations(codes.value, encoder(Variable(y), on: .inference()).value)
    let weights = Variable(scores * (1 / OperatorModel.temperature)).logSoftmax().exp().value
    let every = group.elements
    let moved = Variable.concatenated(
      every.map { self.moved(codes, by: Array(repeating: $0, count: count), on: tape) })
    let pictures = decoder(Variable.concatenated([codes, moved]), on: tape)
    let flat = { (tensor: Tensor) in Variable(tensor.reshaped([1, count, -1])) }
    let width = pictures.shape.count / (count * (order + 1))
    let first = (pictures.sliced(0..<count).reshaped([1, count, width]) - flat(x)).squared().mean()
    let others = pictures.sliced(count..<count * (order + 1)).reshaped([order, count, width])
    let errors = (others - flat(y)).squared().mean([2])
    return first
      + (errors * Variable(weights.transposed().contiguous)).sum() * (1 / Float(count))
  }

  public func loss(_ examples: Examples, on tape: Tape) -> Variable {
    if isWeak, let partner = examples["partner"] {
      return weakLoss(examples.inputs, partner, on: tape)
    }
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
      guard let partner = part["partner"], let elements = try? elements(of: part, partner) else {
        return
      }
      let (first, second) = reconstructions(part.inputs, elements, on: .inference())
      let rows = [part.count, -1]
      body(part.inputs.reshaped(rows), partner.reshaped(rows), first.value, second.value)
    }
  }

  /// The elements between pairs: those given, or where it is weakly supervised those found.
  private func elements(
    of part: Examples, _ partner: Tensor
  ) throws(DatasetError) -> [FiniteAbelian.Element] {
    isWeak ? found(part.inputs, partner).map(\.element) : try elements(part["element"])
  }

  /// The mean squared error of the second view.
  public func quality(
    on examples: Examples, among processes: (any Communicator)?
  ) -> Quality {
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
    var figures = zip(names, meters).map { ($0, $1.quality.loss) }
    if operators.count == 1 && operators[0] is Diagonal, examples["element"] != nil {
      let actual = try elements(examples["element"])
      // Without being told, it can number steps by any automorphism of a cycle: s ↦ u s.
      let order = group.order
      let units = isWeak ? (1..<order).filter { gcd($0, order) == 1 } : [1]
      var right = [Double](repeating: 0, count: units.count)
      for start in stride(from: 0, to: examples.count, by: 256) {
        let range = start..<min(examples.count, start + 256)
        let poses = found(examples.inputs.sliced(range), partner.sliced(range))
        for (pose, g) in zip(poses, actual[range]) {
          for (i, unit) in units.enumerated() {
            let told = group.element(g.steps.map { unit * $0 })
            // Of several that explain it as well one is right.
            guard !pose.margin.isNaN, pose.candidates.contains(told) else { continue }
            right[i] += 1 / Double(pose.candidates.count)
          }
        }
      }
      figures.append(
        ("step found by correlation", (right.max() ?? 0) / Double(examples.count)))
    }
    return figures
  }

  /// How far codes of partners are from the moved codes, relative to their length.
  public func deviations(
    on examples: Examples
  ) throws(DatasetError) -> [(name: String, values: [Double])] {
    guard let partner = examples["partner"] else {
      throw .lacking("an operator needs 'partner', of the shape of 'inputs'")
    }
    var values: [Double] = []
    for start in stride(from: 0, to: examples.count, by: 256) {
      let part = examples.selecting(start..<min(examples.count, start + 256))
      let y = partner.sliced(start..<start + part.count)
      let codes = encoder.predict(part.inputs)
      let moved = moved(Variable(codes), by: try elements(of: part, y), on: .inference()).value
      values += relativeDistances(moved, encoder.predict(y))
    }
    return [("code, relative", values)]
  }

  /// Second views, as the decoder draws them.
  public func traversed(_ examples: Examples, count: Int) -> Tensor {
    let some = examples.selecting(0..<count)
    guard let partner = some["partner"], let elements = try? elements(of: some, partner) else {
      return some.inputs
    }
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

/// The lengths of differences of rows, each over that of the second row.
func relativeDistances(_ a: Tensor, _ b: Tensor) -> [Double] {
  let squares = (a - b).squared().sum([1]).elements
  return zip(squares, b.squared().sum([1]).elements).map { (Double($0) / Double($1)).squareRoot() }
}

private func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }

extension FiniteAbelian {
  /// The elements of rows of steps, `[count, factors]`; `nil` where a number is no whole one.
  func elements(steps: Tensor) -> [Element]? {
    let (numbers, factors) = (steps.elements, orders.count)
    guard numbers.allSatisfy({ $0 == $0.rounded() && abs($0) < 1e6 }) else { return nil }
    return (0..<steps.shape[0]).map { n in
      element((0..<factors).map { Int(numbers[n * factors + $0]) })
    }
  }
}
