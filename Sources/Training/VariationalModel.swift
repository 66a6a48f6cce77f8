public import Autodiff
public import Layers
public import Symmetry
public import TensorCore

/// A variational autoencoder, with a codebook of symmetries of its codes where one is wanted.
///
/// VAE (Kingma & Welling 2014), β-VAE (Higgins et al. 2017), β-TCVAE (Chen et al. 2018), and CFASL on any of them (Jung, Jeong & Kim, TMLR
/// 2024).
///
/// The loss of a batch is reconstruction + *β* KL, or reconstruction + KL + (*β* − 1) TC, means over its members, sums over pixels and
/// numbers of codes. With a codebook the batch is taken as pairs, its first half with its second, and all the codebook's terms come to it
/// with their weights; of an odd batch the last one has no partner.
public struct VariationalModel: Sendable {
  /// What the decoder's raw numbers are a distribution of.
  public enum Likelihood: String, Sendable, CaseIterable {
    /// Of pixels that are 0 or 1: the binary cross entropy, summed over pixels.
    case bernoulli
    /// Of pixels about the sigmoid of it: the squared error, summed over pixels.
    case gaussian
  }

  /// What codes are held to.
  public enum Regularization: String, Sendable, CaseIterable {
    /// *β* times the divergence from the normal distribution.
    case elbo
    /// The divergence, and *β* − 1 times the total correlation.
    case totalCorrelation = "total-correlation"
  }

  /// What counts how much in the loss.
  public struct Settings: Sendable, Equatable {
    public var likelihood = Likelihood.bernoulli
    public var objective = Regularization.elbo
    public var beta: Float = 1
    /// Over how many training steps what codes are held to grows from 0 to its weight; 0: it has it at once.
    public var anneal = 0
    /// How many pictures the data have, for total correlation.
    public var population = 0
    /// How far numbers of two codes are apart where their factor is taken to have changed.
    public var threshold: Float = 0.2
    public var parallel: Float = 1
    public var perpendicular: Float = 1
    public var sparse: Float = 1
    public var commuting: Float = 1
    public var prediction: Float = 1
    public var encoding: Float = 1
    public var decoding: Float = 0.1
    public init() {}
  }

  public let domain: any Domain
  /// From inputs to means and logarithms of variances, `[batch, 2 · dimension]`.
  public let encoder: any Layer
  /// From codes to raw numbers of inputs.
  public let decoder: any Layer
  public let codebook: SymmetryCodebook?
  public let settings: Settings
  public let dimension: Int
  /// How many training steps are done, while anything grows with them.
  private let steps: Parameter?
  /// How many directions of a section are compared with all others in a step.
  static let comparisons = 64

  public init(
    encoder: any Layer, decoder: any Layer, dimension: Int, codebook: SymmetryCodebook? = nil,
    settings: Settings = Settings(), domain: any Domain
  ) {
    require(
      codebook.map { $0.dimension == dimension } ?? true,
      "a codebook of \(codebook?.dimension ?? 0) for codes of \(dimension) numbers")
    (self.encoder, self.decoder, self.codebook) = (encoder, decoder, codebook)
    (self.settings, self.domain, self.dimension) = (settings, domain, dimension)
    steps = settings.anneal > 0 ? Parameter(Tensor(0), isTrainable: false) : nil
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    encoder.parameters.map { ("backbone.encoder.\($0.name)", $0.parameter) }
      + decoder.parameters.map { ("backbone.decoder.\($0.name)", $0.parameter) }
      + (codebook?.parameters ?? []).map { ("codebook.\($0.name)", $0.parameter) }
      + (steps.map { [("steps", $0)] } ?? [])
  }

  /// What the encoder says of inputs.
  public func posterior(_ inputs: Variable, on tape: Tape) -> Posterior {
    Posterior(encoder(inputs, on: tape))
  }

  /// The negative logarithm of the likelihood of pictures, but for constants: the mean over members of sums over pixels.
  public func reconstruction(_ raw: Variable, _ pictures: Tensor) -> Variable {
    let target = Variable(pictures.reshaped(raw.shape.extents))
    let all =
      settings.likelihood == .bernoulli
      ? raw.softplus() - raw * target : (raw.sigmoid() - target).squared()
    return all.sum() * (1 / Float(pictures.shape[0]))
  }

  /// How much of its weight what codes are held to has by now; counts the step.
  private func annealed(on tape: Tape) -> Float {
    guard tape.isTraining, let steps else { return 1 }
    let done = steps.value.scalar
    // All pieces of a batch have read it when the first one counts, which all then do to the same number.
    _ = tape.piece?.gather([])
    steps.update { $0 = Tensor(done + 1) }
    return min(1, (done + 1) / Float(settings.anneal))
  }

  /// The terms of the loss of a batch, each with its weight.
  ///
  /// - Returns: `reconstruction`, `divergence`, `total correlation`; with a codebook and a pair `parallel`, `perpendicular`,
  ///   `sparse`, `commuting`, `prediction`, `encoding`, `decoding`; those of weight 0 are left out.
  public func terms(
    of inputs: Tensor, on tape: Tape
  ) -> [(name: String, value: Variable, weight: Float)] {
    let posterior = posterior(Variable(inputs), on: tape)
    let codes = posterior.sample(on: tape)
    let pairs = CodePairs(of: posterior, codes, codebook, settings, on: tape)
    // One pass for all that is drawn.
    let drawn = decoder(.concatenated([codes] + (pairs?.moved ?? [])), on: tape)
    let count = inputs.shape[0]
    let share = annealed(on: tape)
    let isELBO = settings.objective == .elbo
    var terms: [(name: String, value: Variable, weight: Float)] = [
      ("reconstruction", reconstruction(drawn.sliced(0..<count), inputs), 1),
      (
        "divergence", posterior.divergence.sum() * (1 / Float(count)),
        share * (isELBO ? settings.beta : 1)
      ),
    ]
    if !isELBO {
      terms.append(
        (
          "total correlation",
          posterior.totalCorrelation(of: codes, population: settings.population),
          share * (settings.beta - 1)
        ))
    }
    guard let pairs, let codebook else { return terms }
    terms += codebookTerms(codebook, codes, pairs, on: tape)
    if !pairs.moved.isEmpty {
      let shown = inputs.sliced(0..<2 * pairs.count)
      // Two means over pairs, the sum of both.
      let loss = reconstruction(drawn.sliced(count..<count + 2 * pairs.count), shown) * 2
      terms.append(("decoding", loss, settings.decoding))
    }
    return terms
  }

  private func codebookTerms(
    _ codebook: SymmetryCodebook, _ codes: Variable, _ pairs: CodePairs, on tape: Tape
  ) -> [(name: String, value: Variable, weight: Float)] {
    var terms: [(name: String, value: Variable, weight: Float)] = []
    func add(_ name: String, _ weight: Float, _ value: () -> Variable) {
      if weight > 0 { terms.append((name, value(), weight)) }
    }
    if settings.parallel > 0 || settings.perpendicular > 0 || settings.sparse > 0 {
      let displacements = SymmetryCodebook.displacements(
        of: codes, by: tape(codebook.generators))
      let directions = SymmetryCodebook.directions(displacements)
      add("parallel", settings.parallel) {
        let all = directions.shape[1]
        var random = tape.stream()
        let rows = (0..<min(Self.comparisons, all)).map { _ in
          Int.random(in: 0..<all, using: &random)
        }
        return SymmetryCodebook.parallelLoss(directions, rows: rows)
      }
      add("perpendicular", settings.perpendicular) {
        SymmetryCodebook.perpendicularLoss(directions)
      }
      add("sparse", settings.sparse) { SymmetryCodebook.sparsityLoss(displacements) }
    }
    add("commuting", settings.commuting) {
      SymmetryCodebook.commutatorLoss(tape(codebook.generators))
    }
    add("prediction", settings.prediction) {
      SymmetryCodebook.predictionLoss(
        pairs.selection.logits,
        hasChanged: SymmetryCodebook.changes(
          pairs.first.value, pairs.second.value, threshold: settings.threshold))
    }
    add("encoding", settings.encoding) {
      (pairs.forward - pairs.second).squared().mean()
        + (pairs.back - pairs.first).squared().mean()
    }
    return terms
  }
}

/// The codes of pairs, the first half of a batch with the second, and where a codebook moves them.
struct CodePairs {
  let count: Int
  let first, second: Variable
  let selection: SymmetryCodebook.Selection
  /// The first as they are moved to the second, *z*₁ exp(*A*), and back, *z*₂ exp(−*A*).
  let forward, back: Variable
  /// What is drawn besides: at the places of the first what comes back, and of the second what goes forward.
  let moved: [Variable]

  /// `nil` without a codebook, or a pair.
  init?(
    of posterior: Posterior, _ codes: Variable, _ codebook: SymmetryCodebook?,
    _ settings: VariationalModel.Settings, on tape: Tape
  ) {
    let count = codes.shape[0] / 2
    guard let codebook, count > 0 else { return nil }
    let (one, two) = (0..<count, count..<2 * count)
    self.count = count
    (first, second) = (codes.sliced(one), codes.sliced(two))
    selection = codebook.selection(posterior.sliced(one), posterior.sliced(two), on: tape)
    let algebra = codebook.composite(selection, on: tape)
    let both = Variable.concatenated([algebra, -algebra]).matrixExponential()
    forward = SymmetryCodebook.moved(first, by: both.sliced(one))
    back = SymmetryCodebook.moved(second, by: both.sliced(two))
    moved = settings.decoding > 0 ? [back, forward] : []
  }
}
