import TensorCore

/// Separated attribute predictability, SAP: how far the dimension that predicts a factor best is ahead.
///
/// A linear classifier of one dimension predicts each factor; the gap between the two best accuracies, on rows that were
/// not learned from, is the factor's, and the score is the mean over factors. Gaps are small even of perfect codes: a line of
/// one feature gets the middle values of a factor wrong.
///
/// Kumar, Sattigeri & Balakrishnan: Variational inference of disentangled latent concepts from
/// unlabeled observations, ICLR 2018; `LinearSVC(C=0.01, class_weight="balanced")` as in disentanglement_lib, of discrete factors.
public struct SAP: DisentanglementMetric {
  /// The weight of errors against that of the penalty, C.
  public var penalty = 0.01
  /// The share of rows that are tested on: 5,000 of 15,000 in disentanglement_lib.
  public var testShare = 1.0 / 3
  public var seed: UInt64 = 0

  public init() {}

  public struct Result: DisentanglementResult {
    public let settings: SAP
    /// The mean of `gaps`, in 0…1.
    public let score: Double
    /// Of each factor.
    public let gaps: [Double]
    /// The share of test rows whose factor is right: `[dimensions][factors]`.
    public let accuracies: [[Double]]
    /// How many rows were learned from, and how many tested on.
    public let trainRows, testRows: Int

    public var figures: [(name: String, value: Double)] { [("SAP", score)] }
    public var notes: [String] { [] }
  }

  /// - Complexity: O(rows · dimensions · values of all factors · Newton's steps, some ten).
  public func measure(_ table: LabeledCodes) throws(DisentanglementError) -> Result {
    try measure(table, table.split(testShare: testShare, seed: seed))
  }

  func measure(
    _ table: LabeledCodes, _ split: (train: [Int], test: [Int])
  ) throws(DisentanglementError) -> Result {
    try table.requireDimensions(for: "SAP")
    try table.requireRows(for: "SAP")
    guard penalty > 0, penalty <= 1e6 else {
      throw DisentanglementError("The penalty of SAP is above 0 and at most 1e6, not \(penalty).")
    }
    let factors = table.factors.columns
    let accuracies = Parallel.map(Array(0..<table.codes.dimensions)) { dimension in
      let column = table.codes.column(dimension)
      return factors.map { factor in
        let classifier = LinearSVM(
          split.train.map { column[$0] }, split.train.map { factor[$0] }, penalty: penalty)
        let right = split.test.count { classifier.label(of: column[$0]) == factor[$0] }
        return Double(right) / Double(split.test.count)
      }
    }
    let gaps = factors.indices.map { factor in
      let sorted = accuracies.map { $0[factor] }.sorted(by: >)
      return sorted[0] - sorted[1]
    }
    return Result(
      settings: self, score: gaps.reduce(0, +) / Double(gaps.count), gaps: gaps,
      accuracies: accuracies, trainRows: split.train.count, testRows: split.test.count)
  }
}
