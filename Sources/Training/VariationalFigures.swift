public import Autodiff
public import Datasets
import Layers
public import MessagePassing
import Symmetry
public import TensorCore

/// A model that draws codes, of which one number is moved at a time.
public protocol CodeTraversableModel: MeasuredModel {
  /// What codes look like as one number goes through some values, for numbers that say something of the examples.
  ///
  /// - Returns: Of each such number its place, and a picture for each value.
  func traversal(
    from examples: Examples, values: [Float]
  ) throws(DatasetError) -> [(number: Int, pictures: Tensor)]
}

extension VariationalModel: CodeTraversableModel {
  /// What a number's posterior means vary by at least, where it counts as active: arXiv 1509.00519.
  static let activeVariance = 0.01
  private static let lot = 64

  public func prepared(_ examples: Examples) throws(DatasetError) -> Examples {
    guard Array(examples.inputs.shape.extents.dropFirst()) == domain.shape else {
      throw .lacking(
        "'inputs' have shape \(examples.inputs.shape), and the model takes \(domain.text)")
    }
    if settings.likelihood == .bernoulli,
      !examples.inputs.elements.allSatisfy({ $0 >= 0 && $0 <= 1 })
    {
      throw .lacking(
        "'likelihood' is 'bernoulli', of pixels in 0…1, and 'inputs' hold others: scale them, or set 'gaussian'"
      )
    }
    guard examples.count > 1 else {
      throw .lacking("a variational autoencoder is measured on 2 examples at least, and there is 1")
    }
    return examples
  }

  public func loss(_ examples: Examples, on tape: Tape) -> Variable {
    let terms = terms(of: examples.inputs, on: tape)
    return terms.dropFirst().reduce(terms[0].value) { $0 + $1.value * $1.weight }
  }

  /// The codes of inputs: posterior means, `[count, dimension]`.
  public func codes(of inputs: Tensor) -> Tensor {
    .concatenated(
      stride(from: 0, to: max(1, inputs.shape[0]), by: 256).map { start in
        let part = Variable(inputs.sliced(start..<min(inputs.shape[0], start + 256)))
        return posterior(part, on: .inference()).mean.value
      })
  }

  /// What codes look like, `[count, height, width, channels]` in 0…1.
  public func pictures(of codes: Tensor) -> Tensor {
    .concatenated(
      stride(from: 0, to: max(1, codes.shape[0]), by: 256).map { start in
        let part = codes.sliced(start..<min(codes.shape[0], start + 256))
        return decoder.predict(part).sigmoid().reshaped([part.shape[0]] + domain.shape)
      })
  }

  /// The mean loss of batches of 64, all terms at their full weights.
  public func quality(
    on examples: Examples, among processes: (any Communicator)?
  ) -> Quality {
    var (sum, count) = (0.0, 0)
    for start in stride(from: 0, to: examples.count, by: Self.lot) {
      let part = examples.selecting(start..<min(examples.count, start + Self.lot))
      // A single one left over has no total correlation, and no partner.
      guard part.count > 1 else { continue }
      sum += Double(loss(part, on: .inference()).value.scalar) * Double(part.count)
      count += part.count
    }
    return Quality(loss: count > 0 ? sum / Double(count) : .nan)
  }

  /// Reconstruction and divergence of a picture, the bound of its likelihood, how many numbers of codes are active, and with a codebook how
  /// far codes and pictures are from where it moves their partners, beside how far they are unmoved.
  public func figures(
    on examples: Examples
  ) throws(DatasetError) -> [(name: String, value: Double)] {
    let examples = try prepared(examples)
    var (reconstruction, divergence) = (0.0, 0.0)
    for start in stride(from: 0, to: examples.count, by: Self.lot) {
      let part = examples.inputs.sliced(start..<min(examples.count, start + Self.lot))
      let tape = Tape.inference()
      let posterior = posterior(Variable(part), on: tape)
      let drawn = decoder(posterior.sample(on: tape), on: tape)
      let count = Double(part.shape[0])
      reconstruction += Double(self.reconstruction(drawn, part).value.scalar) * count
      divergence += Double(posterior.divergence.sum().value.scalar)
    }
    let (count, codes) = (Double(examples.count), codes(of: examples.inputs))
    var figures = [
      ("reconstruction", reconstruction / count), ("KL divergence", divergence / count),
      ("negative ELBO", (reconstruction + divergence) / count),
      ("active numbers", active(codes).map { Double($0.count) } ?? .nan),
    ]
    if let factors = examples["factors"] {
      figures += CodeMetrics(of: codes, factors, active: active(codes)?.count ?? 0).figures.map {
        ($0.name, $0.value)
      }
    }
    guard codebook != nil else { return figures }
    let pairs = try moved(examples)
    for (name, places) in [
      ("code", (pairs.codes.moved, pairs.codes.first, pairs.codes.second)),
      ("picture", (pairs.pictures.moved, pairs.pictures.first, pairs.pictures.second)),
    ] {
      let (moved, first, second) = places
      figures += [
        ("\(name) moved to its partner, relative", Self.relative(moved, second)),
        ("\(name) unmoved, relative", Self.relative(first, second)),
      ]
    }
    figures.append(("sections switched on", pairs.switched))
    return figures
  }

  /// Whose posterior means vary by more than 0.01; `nil` where one is no number.
  func active(_ codes: Tensor) -> [Int]? {
    let center = codes - codes.mean([0], keepingAxes: true)
    let variances = center.squared().mean([0]).elements
    guard variances.allSatisfy(\.isFinite) else { return nil }
    return variances.indices.filter { Double(variances[$0]) > Self.activeVariance }
  }

  /// The sum of distances of rows over that of lengths.
  private static func relative(_ a: Tensor, _ b: Tensor) -> Double {
    func length(_ rows: Tensor) -> Double {
      rows.reshaped([rows.shape[0], -1]).squared().sum([1]).elements
        .reduce(0) { $0 + Double($1).squareRoot() }
    }
    return length(a - b) / length(b)
  }

  private struct MovedPairs {
    var codes, pictures: (moved: Tensor, first: Tensor, second: Tensor)
    /// How many sections act on a pair, in the mean.
    var switched: Double
  }

  /// The pairs of examples, the first half with the second, moved by what the codebook says of them.
  private func moved(_ examples: Examples) throws(DatasetError) -> MovedPairs {
    guard let codebook else { throw Self.lacksCodebook }
    let half = examples.count / 2
    var parts: [(moved: Tensor, first: Tensor, second: Tensor, switches: Tensor)] = []
    for start in stride(from: 0, to: half, by: 256) {
      let rows = start..<min(half, start + 256)
      let tape = Tape.inference()
      func seen(_ from: Int) -> Posterior {
        posterior(
          Variable(examples.inputs.sliced(from + rows.lowerBound..<from + rows.upperBound)),
          on: tape)
      }
      let (a, b) = (seen(0), seen(half))
      let selection = codebook.selection(a, b, on: tape)
      let matrices = codebook.composite(selection, on: tape).matrixExponential()
      parts.append(
        (
          SymmetryCodebook.moved(a.mean, by: matrices).value, a.mean.value, b.mean.value,
          selection.switches.value
        ))
    }
    let moved = Tensor.concatenated(parts.map(\.moved))
    let inputs = examples.inputs
    return MovedPairs(
      codes: (
        moved, .concatenated(parts.map(\.first)), .concatenated(parts.map(\.second))
      ),
      pictures: (pictures(of: moved), inputs.sliced(0..<half), inputs.sliced(half..<2 * half)),
      switched: parts.reduce(0) { $0 + Double($1.switches.sum().scalar) } / Double(half))
  }

  private static let lacksCodebook = DatasetError.lacking(
    "a variational autoencoder without a codebook ('symmetry: none') says nothing of how codes move; train one with 'symmetry: codebook'"
  )

  /// Of each pair, the first half of the examples with the second, how far the moved code is from its partner's, and the picture of it from
  /// the partner, relative to their lengths; beside each how far they are unmoved.
  ///
  /// - Throws: `DatasetError` without a codebook.
  public func deviations(
    on examples: Examples
  ) throws(DatasetError) -> [(name: String, values: [Double])] {
    let pairs = try moved(try prepared(examples))
    func rows(_ tensor: Tensor) -> Tensor { tensor.reshaped([tensor.shape[0], -1]) }
    return [
      ("code, relative", relativeDistances(pairs.codes.moved, pairs.codes.second)),
      ("unmoved code, relative", relativeDistances(pairs.codes.first, pairs.codes.second)),
      (
        "picture, relative",
        relativeDistances(rows(pairs.pictures.moved), rows(pairs.pictures.second))
      ),
      (
        "unmoved picture, relative",
        relativeDistances(rows(pairs.pictures.first), rows(pairs.pictures.second))
      ),
    ]
  }

  /// The symmetry that the codebook has learned for each section, the mean over pairs of examples of what attention makes of its elements,
  /// switched on or not: `[sections, dimension, dimension]`, elements of the algebra.
  ///
  /// - Throws: `DatasetError` without a codebook.
  public func generators(on examples: Examples) throws(DatasetError) -> Tensor {
    guard let codebook else { throw Self.lacksCodebook }
    let examples = try prepared(examples)
    let half = examples.count / 2
    var sum = Tensor.zeros([dimension, dimension, dimension])
    for start in stride(from: 0, to: half, by: 256) {
      let rows = start..<min(half, start + 256)
      let tape = Tape.inference()
      let (a, b) = (
        posterior(Variable(examples.inputs.sliced(rows)), on: tape),
        posterior(
          Variable(examples.inputs.sliced(half + rows.lowerBound..<half + rows.upperBound)),
          on: tape)
      )
      sum.add(codebook.factors(codebook.selection(a, b, on: tape), on: tape).sum([0]).value)
    }
    return sum * (1 / Float(half))
  }

  public func traversal(
    from examples: Examples, values: [Float]
  ) throws(DatasetError) -> [(number: Int, pictures: Tensor)] {
    let start = codes(of: examples.inputs)
    guard let active = active(start) else {
      throw .lacking("the codes of these are no numbers: weights, or inputs, are not usable")
    }
    let first = start.sliced(0..<1).elements
    return active.map { number in
      let moved = values.flatMap { value in
        first.enumerated().map { $0.offset == number ? value : $0.element }
      }
      return (number, pictures(of: Tensor(moved, shape: [values.count, dimension])))
    }
  }

  public func remarks(on examples: Examples) -> [String] {
    var remarks: [String] = []
    // Only of few examples a metric cannot be told; of many they take seconds.
    if let factors = examples["factors"] {
      let codes = codes(of: examples.inputs)
      let count = active(codes)?.count ?? 0
      if examples.count < 2048 || count == 0 {
        remarks += CodeMetrics(of: codes, factors, active: count).untold
      } else if codes.largestVariance < 0.06 * 0.06 {
        remarks.append(
          "All numbers of the codes vary by less than 0.06: FactorVAE and m-FVM are not told.")
      }
    }
    if codebook != nil, examples.count % 2 == 1 {
      remarks.append(
        "Pairs are the first half with the second: the last of \(examples.count) is in none.")
    }
    return remarks
  }

  public var summary: [(name: String, value: String)] {
    [
      ("input", domain.text), ("latent numbers", "\(dimension)"),
      ("objective", "\(settings.objective.rawValue), beta \(settings.beta)"),
      (
        "codebook",
        codebook.map { "\($0.sections) sections of \($0.elements) elements" } ?? "none"
      ),
      ("parameters", "\(trainableCount())"),
    ]
  }
}

extension Tensor {
  /// The largest variance of a column of rows.
  fileprivate var largestVariance: Float {
    (self - mean([0], keepingAxes: true)).squared().mean([0]).elements.max() ?? 0
  }
}
