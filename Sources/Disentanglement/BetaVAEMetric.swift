import Glibc
import TensorCore

/// The metric of β-VAE, z-diff: whether the mean |z − z′| of pairs that share one factor tells which.
///
/// A point is the mean of |z − z′| over `batch` pairs; the two rows of each pair have the same value of one factor, and
/// others as they come. A linear classifier (multinomial logistic regression) learns from `trainPoints` which
/// factor it was, and the score is its accuracy on `testPoints` others. Chance is one over the number of
/// factors. It is 1 already where codes rotate into one another, and says least of all these metrics.
///
/// Higgins et al.: β-VAE, ICLR 2017; batch and numbers of points as in disentanglement_lib.
public struct BetaVAEMetric: DisentanglementMetric {
  /// How many pairs a point is the mean of.
  public var batch = 64
  /// How many points the classifier learns from.
  public var trainPoints = 10_000
  /// How many points it is tested on.
  public var testPoints = 5_000
  /// The inverse strength of the classifier's penalty, scikit-learn's C.
  public var inversePenalty = 1.0
  public var seed: UInt64 = 0

  public init() {}

  public struct Result: DisentanglementResult {
    public let settings: BetaVAEMetric
    /// The accuracy on new points, in 0…1.
    public let score: Double
    /// The accuracy on the points that were learned from.
    public let trainAccuracy: Double
    /// Of each factor, how many rows share its value with another one; others are left out.
    public let rowsUsed: [Int]

    public var figures: [(name: String, value: Double)] {
      [("z-diff", score), ("z-diff, train", trainAccuracy)]
    }
    public var notes: [String] { [] }
  }

  /// - Complexity: O(points · (batch + steps) · dimensions), with the classifier's steps at most 1,000.
  public func measure(_ table: LabeledCodes) throws(DisentanglementError) -> Result {
    try table.requireFactors(for: "z-diff")
    guard batch >= 1, trainPoints >= 2, testPoints >= 1, inversePenalty > 0 else {
      throw DisentanglementError(
        "z-diff needs a batch of a pair, two points to learn from, one to test on, and a penalty above 0."
      )
    }
    let groups = try RowGroups.ofEach(table.factors)
    let train = points(trainPoints, "train", table.codes, groups)
    let test = points(testPoints, "test", table.codes, groups)
    let classifier = try LogisticRegression(
      train.features, train.labels, classes: groups.count, inversePenalty: inversePenalty)
    return Result(
      settings: self, score: classifier.accuracy(test.features, test.labels),
      trainAccuracy: classifier.accuracy(train.features, train.labels),
      rowsUsed: groups.map(\.count))
  }

  private func points(
    _ count: Int, _ part: String, _ codes: Codes, _ groups: [RowGroups]
  ) -> (features: [[Double]], labels: [Int]) {
    let width = codes.dimensions
    let points = Parallel.map(Array(0..<count)) { n in
      var random = RandomStream(seed: seed, name: "z-diff/\(part)/\(n)")
      let factor = Int.random(in: groups.indices, using: &random)
      var mean = [Double](repeating: 0, count: width)
      for _ in 0..<batch {
        let (a, b) = groups[factor].pair(using: &random)
        for d in 0..<width {
          mean[d] += abs(codes.values[a * width + d] - codes.values[b * width + d]) / Double(batch)
        }
      }
      return (mean, factor)
    }
    return (points.map(\.0), points.map(\.1))
  }
}

extension RowGroups {
  /// The rows by each factor alone.
  static func ofEach(_ factors: Factors) throws(DisentanglementError) -> [RowGroups] {
    var groups: [RowGroups] = []
    for factor in factors.names.indices { groups.append(try RowGroups(factors, fixing: [factor])) }
    return groups
  }
}
