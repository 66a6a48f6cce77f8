import Glibc

/// The mutual information gap, MIG: how far the dimension that says most of a factor is ahead.
///
/// Of factor *v* it is (I(z₁; v) − I(z₂; v)) / H(v), with z₁ and z₂ the two dimensions that say most, and the
/// score is the mean over factors. Codes are counted in `bins` pieces of equal width. Informations
/// are plain sums over counts, in nats; of few rows they are too large, by about
/// (pieces − 1)(values − 1) / (2 · rows) each.
///
/// Chen, Li, Grosse & Duvenaud: Isolating sources of disentanglement in VAEs, NeurIPS 2018.
public struct MutualInformationGap: DisentanglementMetric {
  /// How many pieces the histogram of a dimension has.
  public var bins = 20

  public init() {}

  public struct Result: DisentanglementResult {
    public let settings: MutualInformationGap
    /// The mean of `gaps`, in 0…1.
    public let score: Double
    /// Of each factor the gap over its entropy.
    public let gaps: [Double]
    /// Of each factor, in nats.
    public let entropies: [Double]
    /// Between each dimension and each factor, in nats: `[dimensions][factors]`.
    public let information: [[Double]]

    public var figures: [(name: String, value: Double)] { [("MIG", score)] }
    public var notes: [String] { [] }
  }

  /// - Complexity: O(rows · dimensions · factors).
  public func measure(_ table: LabeledCodes) throws(DisentanglementError) -> Result {
    try table.requireDimensions(for: "MIG")
    try table.requireRows(for: "MIG")
    guard bins >= 2, table.count >= bins else {
      throw DisentanglementError(
        "MIG with \(bins) bins needs as many rows, and two bins at least; there are \(table.count) rows."
      )
    }
    let factors = table.factors
    let information = (0..<table.codes.dimensions).map { dimension in
      let places = Histogram(table.codes.column(dimension), bins: bins).places
      return factors.columns.indices.map { factor in
        mutualInformation(
          places, of: bins, factors.columns[factor], of: factors.valueCounts[factor])
      }
    }
    let entropies = zip(factors.columns, factors.valueCounts).map { entropy($0, of: $1) }
    let gaps = entropies.indices.map { factor in
      let sorted = information.map { $0[factor] }.sorted(by: >)
      return (sorted[0] - sorted[1]) / entropies[factor]
    }
    return Result(
      settings: self, score: gaps.reduce(0, +) / Double(gaps.count), gaps: gaps,
      entropies: entropies, information: information)
  }
}

/// The entropy of values in `0..<count`, in nats.
func entropy(_ values: [Int], of count: Int) -> Double {
  var counts = [Double](repeating: 0, count: count)
  for value in values { counts[value] += 1 }
  let total = Double(values.count)
  return counts.reduce(0) { $1 > 0 ? $0 - $1 / total * log($1 / total) : $0 }
}

/// The mutual information of two lists of values, in nats: Σ p(a, b) log(p(a, b) / (p(a) p(b))).
func mutualInformation(_ a: [Int], of aCount: Int, _ b: [Int], of bCount: Int) -> Double {
  var joint = [Int](repeating: 0, count: aCount * bCount)
  var (first, second) = ([Int](repeating: 0, count: aCount), [Int](repeating: 0, count: bCount))
  for (x, y) in zip(a, b) {
    joint[x * bCount + y] += 1
    first[x] += 1
    second[y] += 1
  }
  let total = Double(a.count)
  var sum = 0.0
  for x in 0..<aCount {
    for y in 0..<bCount where joint[x * bCount + y] > 0 {
      let n = Double(joint[x * bCount + y])
      sum += n / total * log(n * total / (Double(first[x]) * Double(second[y])))
    }
  }
  // Of independent values the sum is 0 up to its rounding.
  return max(0, sum)
}
