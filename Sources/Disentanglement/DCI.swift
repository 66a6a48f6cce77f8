import Glibc
import TensorCore

/// Disentanglement, completeness and informativeness, DCI, by the importances of boosted trees.
///
/// A classifier predicts each factor from all dimensions. From the importances *R* `[dimensions][factors]`: a dimension is
/// disentangled as far as it matters for one factor, 1 − H(its row as shares) / log factors; the score weighs dimensions by their part
/// of all importance. A factor is complete as far as one dimension matters for it, 1 − H(its column) / log dimensions, weighed in the same
/// way. Informativeness is the accuracy on rows that were not learned from, as a mean over factors.
///
/// Eastwood & Williams: A framework for the quantitative evaluation of disentangled representations, ICLR
/// 2018; gradient-boosted trees with scikit-learn's defaults as in disentanglement_lib, but for splits between 64 bins
/// of about as many rows.
public struct DCI: DisentanglementMetric {
  /// How many trees each value of a factor has.
  public var rounds = 100
  /// By how much a tree counts.
  public var learningRate = 0.1
  /// How many splits lead to a leaf at most.
  public var depth = 3
  /// Between how many bins of a dimension splits are looked for; from its number of different codes on they are exact.
  public var bins = 64
  /// The share of rows that are tested on: 5,000 of 15,000 in disentanglement_lib.
  public var testShare = 1.0 / 3
  public var seed: UInt64 = 0

  public init() {}

  public struct Result: DisentanglementResult {
    public let settings: DCI
    /// All three in 0…1.
    public let disentanglement, completeness, informativeness: Double
    /// The accuracy on the rows that were learned from.
    public let trainAccuracy: Double
    /// Of each factor, on test rows.
    public let accuracies: [Double]
    /// Of each dimension for each factor: `[dimensions][factors]`; those for a factor sum to 1.
    public let importances: [[Double]]
    /// How many rows were learned from, and how many tested on.
    public let trainRows, testRows: Int

    public var figures: [(name: String, value: Double)] {
      [
        ("DCI disentanglement", disentanglement), ("DCI completeness", completeness),
        ("DCI informativeness", informativeness), ("DCI informativeness, train", trainAccuracy),
      ]
    }
    public var notes: [String] { [] }
  }

  /// - Complexity: O(rounds · values of all factors · rows · dimensions · depth).
  public func measure(_ table: LabeledCodes) throws(DisentanglementError) -> Result {
    try measure(table, table.split(testShare: testShare, seed: seed))
  }

  func measure(
    _ table: LabeledCodes, _ split: (train: [Int], test: [Int])
  ) throws(DisentanglementError) -> Result {
    try table.requireFactors(for: "DCI")
    try table.requireDimensions(for: "DCI")
    try table.requireRows(for: "DCI")
    guard (1...10_000).contains(rounds), learningRate > 0, learningRate <= 1,
      (1...16).contains(depth), (2...65_535).contains(bins)
    else {
      throw DisentanglementError(
        "DCI takes 1 to 10,000 rounds, a learning rate up to 1, a depth of 1 to 16, and 2 to 65,535 bins."
      )
    }
    let columns = (0..<table.codes.dimensions).map(table.codes.column)
    let trained = columns.map { column in split.train.map { column[$0] } }
    let settings = BoostedTrees.Settings(
      rounds: rounds, learningRate: learningRate, depth: depth, bins: bins)
    let results = Parallel.map(table.factors.columns) { factor in
      let trees = BoostedTrees(trained, split.train.map { factor[$0] }, settings, seed: seed)
      func accuracy(_ rows: [Int]) -> Double {
        Double(rows.count { row in trees.label { columns[$0][row] } == factor[row] })
          / Double(rows.count)
      }
      return (trees.importances, accuracy(split.train), accuracy(split.test))
    }
    let importances = columns.indices.map { dimension in results.map { $0.0[dimension] } }
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    return Result(
      settings: self, disentanglement: DCI.disentanglement(of: importances),
      completeness: DCI.completeness(of: importances), informativeness: mean(results.map(\.2)),
      trainAccuracy: mean(results.map(\.1)), accuracies: results.map(\.2),
      importances: importances, trainRows: split.train.count, testRows: split.test.count)
  }

  /// How far each dimension matters for one factor, weighed by importance: of importances `[dimensions][factors]`, not negative.
  ///
  /// 0 where nothing matters.
  static func disentanglement(of importances: [[Double]]) -> Double {
    let total = importances.reduce(0) { $0 + $1.reduce(0, +) }
    guard total > 0 else { return 0 }
    return importances.reduce(0) { score, row in
      let sum = row.reduce(0, +)
      guard sum > 0 else { return score }
      let entropy = row.reduce(0) { $1 > 0 ? $0 - $1 / sum * log($1 / sum) : $0 }
      return score + sum / total * (1 - entropy / log(Double(row.count)))
    }
  }

  /// How far one dimension matters for each factor, weighed by importance.
  static func completeness(of importances: [[Double]]) -> Double {
    disentanglement(
      of: importances[0].indices.map { factor in importances.map { $0[factor] } })
  }
}
