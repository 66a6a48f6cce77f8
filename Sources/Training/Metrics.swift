import Glibc
public import TensorCore

/// How good a model's outputs are on some examples.
public struct Quality: Codable, Sendable, Equatable {
  /// The fraction of wrong classes; `nil` for an image-valued task.
  public var error: Double?
  /// The mean loss: cross entropy of the true class, or mean squared error of images.
  public var loss: Double
  /// The expected calibration error over 15 bins of confidence.
  ///
  /// Guo et al. 2017, arXiv 1706.04599.
  public var calibrationError: Double?

  /// What training selects by: smaller is better.
  public var selection: Double { error ?? loss }
}

/// Collects outputs batch by batch.
public struct QualityMeter {
  private var (wrong, total, loss) = (0, 0, 0.0)
  private var confidence = [Double](repeating: 0, count: 15)
  private var correct = [Double](repeating: 0, count: 15)
  private var isClassification = true

  public init() {}

  /// Adds class probabilities `[batch, classes]`.
  public mutating func add(probabilities: Tensor, labels: [Int]) {
    let (columns, rows) = (probabilities.shape[1], probabilities.elements)
    for (n, best) in probabilities.largestColumn().enumerated() {
      let top = Double(rows[n * columns + best])
      let isRight = best == labels[n]
      wrong += isRight ? 0 : 1
      loss -= Double(log(max(rows[n * columns + labels[n]], 1e-30)))
      let bin = min(14, Int(top * 15))
      confidence[bin] += top
      correct[bin] += isRight ? 1 : 0
    }
    total += labels.count
  }

  /// Adds outputs beside their targets.
  public mutating func add(outputs: Tensor, targets: Tensor) {
    isClassification = false
    loss += Double((outputs - targets).squared().mean().scalar) * Double(outputs.shape[0])
    total += outputs.shape[0]
  }

  /// The figures for all that was added.
  public var quality: Quality {
    let count = Double(max(1, total))
    guard isClassification else { return Quality(loss: loss / count) }
    let gap = zip(confidence, correct).map { abs($0 - $1) }.reduce(0, +)
    return Quality(
      error: Double(wrong) / count, loss: loss / count, calibrationError: gap / count)
  }
}
