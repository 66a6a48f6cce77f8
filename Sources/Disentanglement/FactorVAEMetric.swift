import TensorCore

/// The metric of FactorVAE: whether the dimension that varies least tells which factor is fixed.
///
/// Of a batch of rows with one factor fixed the dimension of the smallest variance, over its variance in all rows,
/// is a vote for that factor. The classifier says of each dimension the factor with most of its votes; the score
/// is how many of `testVotes` new votes it takes for the right factor. Dimensions whose standard deviation is
/// below `threshold` have collapsed and do not vote. Among dimensions that vary equally little, up to a
/// millionth, one is drawn, where the first one, or rounding, decides in disentanglement_lib.
///
/// Kim & Mnih: Disentangling by factorising, ICML 2018; numbers as in disentanglement_lib, which estimates the variances of
/// all rows from 10,000 drawn ones, where these are of all rows there are.
public struct FactorVAEMetric: DisentanglementMetric {
  /// How many rows a batch has.
  public var batch = 64
  /// How many votes the classifier is made of.
  public var trainVotes = 10_000
  /// How many votes it is tested on.
  public var testVotes = 5_000
  /// The standard deviation below which a dimension has collapsed.
  public var threshold = 0.05
  public var seed: UInt64 = 0

  public init() {}

  public struct Result: DisentanglementResult {
    public let settings: FactorVAEMetric
    /// The accuracy on new votes, in 0…1.
    public let score: Double
    /// The accuracy on the votes that the classifier is made of.
    public let trainAccuracy: Double
    /// The dimensions that have not collapsed.
    public let active: [Int]
    /// Of how many rows the variances of all rows are.
    public let varianceRows: Int
    /// Of each factor, how many rows share its value with another one; others are left out.
    public let rowsUsed: [Int]

    public var figures: [(name: String, value: Double)] {
      [("FactorVAE", score), ("FactorVAE, train", trainAccuracy)]
    }
    public var notes: [String] {
      active.count > 1
        ? [] : ["One dimension only is active, and votes: FactorVAE is the share of one factor."]
    }
  }

  /// - Complexity: O(votes · batch · dimensions).
  public func measure(_ table: LabeledCodes) throws(DisentanglementError) -> Result {
    try table.requireFactors(for: "FactorVAE")
    guard batch >= 2, trainVotes >= 1, testVotes >= 1, threshold > 0 else {
      throw DisentanglementError(
        "FactorVAE needs a batch of two rows, a vote to learn from, one to test on, and a threshold above 0."
      )
    }
    let active = try table.codes.active(from: threshold)
    let groups = try RowGroups.ofEach(table.factors)
    let train = votes(trainVotes, "train", table.codes, active, groups)
    // The first of equal counts, as `argmax`.
    let majority = train.map { votes in
      votes.indices.reduce(0) { votes[$1] > votes[$0] ? $1 : $0 }
    }
    func accuracy(_ votes: [[Int]], _ count: Int) -> Double {
      Double(zip(votes, majority).reduce(0) { $0 + $1.0[$1.1] }) / Double(count)
    }
    let test = votes(testVotes, "test", table.codes, active, groups)
    return Result(
      settings: self, score: accuracy(test, testVotes),
      trainAccuracy: accuracy(train, trainVotes), active: active, varianceRows: table.count,
      rowsUsed: groups.map(\.count))
  }

  /// How often each active dimension varied least with each factor fixed: `[dimensions][factors]`.
  private func votes(
    _ count: Int, _ part: String, _ codes: Codes, _ active: [Int], _ groups: [RowGroups]
  ) -> [[Int]] {
    let votes = Parallel.map(Array(0..<count)) { n in
      var random = RandomStream(seed: seed, name: "factor-vae/\(part)/\(n)")
      let factor = Int.random(in: groups.indices, using: &random)
      let variances = groups[factor].relativeVariances(codes, active, batch: batch, using: &random)
      return (leastVaried(1, of: variances, using: &random)[0], factor)
    }
    let none = [Int](repeating: 0, count: groups.count)
    return votes.reduce(into: [[Int]](repeating: none, count: active.count)) { $0[$1.0][$1.1] += 1 }
  }
}
