import Glibc
public import TensorCore

/// How good a model's outputs are on some examples.
public struct Quality: Codable, Sendable, Equatable {
  /// The fraction of wrong classes; `nil` where classes are not what is told.
  public var error: Double?
  /// The mean loss: cross entropy of the true class, or mean squared error of what else is told.
  public var loss: Double
  /// The expected calibration error over 15 bins of confidence.
  ///
  /// Guo et al. 2017, arXiv 1706.04599.
  public var calibrationError: Double?
  /// How far error and loss may be off because there are only so many examples.
  ///
  /// Half of Wilson's interval of one standard error (1927, doi 10.1080/01621459.1927.10502953), which is not 0 where
  /// nothing is wrong; the standard error of the loss, which is missing where classes are told.
  public var errorSampling, lossSampling: Double?

  public init(
    error: Double? = nil, loss: Double, calibrationError: Double? = nil,
    errorSampling: Double? = nil, lossSampling: Double? = nil
  ) {
    (self.error, self.loss, self.calibrationError) = (error, loss, calibrationError)
    (self.errorSampling, self.lossSampling) = (errorSampling, lossSampling)
  }

  /// What training selects by: smaller is better.
  public var selection: Double { error ?? loss }
}

/// Collects outputs batch by batch.
public struct QualityMeter {
  private var (wrong, classified, entropy) = (0, 0, 0.0)
  private var (measured, square, fourth) = (0, 0.0, 0.0)
  private var confidence = [Double](repeating: 0, count: 15)
  private var correct = [Double](repeating: 0, count: 15)

  public init() {}

  /// Adds class probabilities `[batch, classes]`; one that is not a number is wrong, and so is its loss.
  public mutating func add(probabilities: Tensor, labels: [Int]) {
    let (columns, rows) = (probabilities.shape[1], probabilities.elements)
    for (n, best) in probabilities.largestColumn().enumerated() {
      let (top, own) = (Double(rows[n * columns + best]), rows[n * columns + labels[n]])
      guard top.isFinite && own.isFinite else {
        (wrong, entropy) = (wrong + 1, .nan)
        continue
      }
      let isRight = best == labels[n]
      wrong += isRight ? 0 : 1
      entropy -= Double(log(max(own, 1e-30)))
      let bin = min(14, Int(top * 15))
      confidence[bin] += top
      correct[bin] += isRight ? 1 : 0
    }
    classified += labels.count
  }

  /// Adds outputs beside their targets.
  public mutating func add(outputs: Tensor, targets: Tensor) {
    let differences = (outputs - targets).squared()
    square += Double(differences.mean().scalar) * Double(outputs.shape[0])
    let rows = differences.reshaped([outputs.shape[0], -1]).mean([1]).elements
    fourth += rows.reduce(0) { $0 + Double($1) * Double($1) }
    measured += outputs.shape[0]
  }

  /// The figures for all that was added.
  public var quality: Quality {
    let count = Double(max(1, classified))
    let (members, mean) = (Double(max(1, measured)), square / Double(max(1, measured)))
    let spread =
      measured > 1 ? (max(0, fourth / members - mean * mean) / (members - 1)).squareRoot() : nil
    guard classified > 0 else { return Quality(loss: mean, lossSampling: spread) }
    let rate = Double(wrong) / count
    let gap = zip(confidence, correct).map { abs($0 - $1) }.reduce(0, +)
    return Quality(
      error: rate, loss: measured > 0 ? mean : entropy / count, calibrationError: gap / count,
      errorSampling: (rate * (1 - rate) / count + 0.25 / (count * count)).squareRoot()
        / (1 + 1 / count),
      lossSampling: measured > 0 ? spread : nil)
  }
}
