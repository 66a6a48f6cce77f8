public import Autodiff
import Glibc
import TensorCore

/// What an encoder says of inputs: for each a normal distribution of codes with independent numbers.
public struct Posterior {
  /// `[batch, dimension]`.
  public let mean, logVariance: Variable

  /// - Precondition: Both have one shape, `[batch, dimension]`.
  public init(mean: Variable, logVariance: Variable) {
    require(
      mean.shape == logVariance.shape && mean.shape.rank == 2,
      "means \(mean.shape), variances \(logVariance.shape)")
    (self.mean, self.logVariance) = (mean, logVariance)
  }

  /// Splits an encoder's output, `[batch, 2 · dimension]`: means, and after them the logarithms of variances.
  init(_ output: Variable) {
    let dimension = output.shape[1] / 2
    self.init(
      mean: output.sliced(0..<dimension, axis: 1),
      logVariance: output.sliced(dimension..<2 * dimension, axis: 1))
  }

  /// √σ², from the logarithm of the variance.
  public var deviation: Variable { (logVariance * 0.5).exp() }

  /// Codes *μ* + *σ* *ε*, with *ε* normal, from the tape's stream: the gradient goes through both (Kingma & Welling 2014, arXiv
  /// 1312.6114).
  public func sample(on tape: Tape) -> Variable {
    var random = tape.stream()
    return mean + deviation * Variable(.normal(mean.shape, using: &random))
  }

  /// KL(*q* ‖ 𝒩(0, 1)) of each number: ½ (*μ*² + *σ*² − log *σ*² − 1), `[batch, dimension]`.
  public var divergence: Variable {
    (mean.squared() + logVariance.exp() - logVariance - 1) * 0.5
  }

  /// Some of the rows.
  public func sliced(_ rows: Range<Int>) -> Posterior {
    Posterior(mean: mean.sliced(rows), logVariance: logVariance.sliced(rows))
  }

  /// The total correlation of codes over the data, KL(*q*(*z*) ‖ Π *q*(*z*ᵢ)), estimated from a batch.
  ///
  /// Stratified (Chen et al. 2018, arXiv 1802.04942, appendix C): of *N* pictures that the data have, a batch holds that of each code, with weight
  /// 1/*N*, and *M* others for the rest of them: one with (*N* − *M*)/(*N* *M*), the others with 1/*M*. So log *q*(*z*ₙ) is the
  /// logarithm of a weighted sum of *q*(*z*ₙ|*x*ₘ). The paper's public code puts the first weight into the first column; here it stands
  /// where the code's own picture is. Of codes that depend on one another it is below the true value, in batches of a few dozen by far.
  ///
  /// - Parameters:
  ///   - codes: Samples of this posterior, `[batch, dimension]`.
  ///   - population: *N*; the batch's count where that is more.
  /// - Returns: The mean over the batch, a scalar.
  /// - Precondition: The batch has two members at least.
  /// - Complexity: O(batch² · dimension).
  public func totalCorrelation(of codes: Variable, population: Int) -> Variable {
    let (count, dimension) = (codes.shape[0], codes.shape[1])
    require(count > 1, "the total correlation of \(count) code")
    let all = [1, count, dimension]
    // log q(z | x) without its constant: (codes, pictures, numbers).
    let apart = codes.reshaped([count, 1, dimension]) - mean.reshaped(all)
    let each =
      (apart.squared() * (-logVariance).exp().reshaped(all) + logVariance.reshaped(all)
        + Float(log2π)) * -0.5
    let weights = Variable(Self.stratified(count, population: max(population, count)))
    let joint = (each.sum([2]) + weights).logSumExp()
    let marginals = (each.permuted([0, 2, 1]) + weights.reshaped([count, 1, count])).logSumExp()
    return (joint - marginals.sum([1])).mean()
  }

  /// Logarithms of the weights, `[code, picture]`; each row of weights sums to 1.
  static func stratified(_ count: Int, population: Int) -> Tensor {
    let (others, all) = (Double(count - 1), Double(population))
    var weights = [Float](repeating: Float(log(1 / others)), count: count * count)
    for n in 0..<count {
      weights[n * count + n] = Float(log(1 / all))
      weights[n * count + (n + 1) % count] = Float(log((all - others) / (all * others)))
    }
    return Tensor(weights, shape: [count, count])
  }
}

private let log2π = log(2 * Double.pi)
