import Glibc
import TensorCore

/// The multi-factor metric m-FVM: whether with *k* factors fixed the same *k* dimensions vary least.
///
/// In each of `votes` batches a set of `fixed` factors is drawn and held; the `fixed` active dimensions of the smallest
/// variance, over their variance in all rows, are a vote. The score is the mean, over sets of factors, of the share
/// of the most frequent vote. Its value without any disentanglement depends on how many dimensions are active, and is 1
/// where these are as many as are fixed; so its null stands beside it: the score, to be expected, of votes drawn
/// evenly among the active dimensions, as many for each set as were cast. Compare `adjusted`,
/// (score − null) / (1 − null), between models, and not the score.
///
/// Jung et al.: CFASL, TMLR 2024. Its public code measures sampled codes, and variances of 100 rows;
/// here codes are measured as they are given, variances are of all rows, and among dimensions that vary
/// equally little, up to a millionth, some are drawn.
public struct MultiFactorVAEMetric: DisentanglementMetric {
  /// How many factors are fixed.
  public var fixed: Int
  /// How many rows a batch has.
  public var batch = 100
  public var votes = 800
  /// The standard deviation below which a dimension has collapsed.
  public var threshold = 0.06
  /// How often the votes of the null are drawn.
  public var nullDraws = 1_000
  public var seed: UInt64 = 0

  public init(fixed: Int) { self.fixed = fixed }

  public struct Result: DisentanglementResult {
    public let settings: MultiFactorVAEMetric
    /// In 0…1.
    public let score: Double
    /// The mean score of random votes, and their standard deviation.
    public let null, nullDeviation: Double
    /// (score − null) / (1 − null): 0 for random votes, 1 at best; `nil` where the null is 1.
    public let adjusted: Double?
    /// The dimensions that have not collapsed.
    public let active: [Int]
    /// How many sets of factors got votes.
    public let sets: Int
    /// The smallest group of rows with the same values of a set of factors.
    public let smallestGroup: Int

    public var figures: [(name: String, value: Double)] {
      let name = "m-FVM\(settings.fixed)"
      return [(name, score), ("\(name), null", null)]
        + (adjusted.map { [("\(name), above the null", $0)] } ?? [])
        + [("\(name), active dimensions", Double(active.count))]
    }
    public var notes: [String] {
      let name = "m-FVM\(settings.fixed)"
      var notes: [String] = []
      if adjusted == nil {
        notes.append(
          active.count == settings.fixed
            ? "\(name) is 1 by construction: as many dimensions are active as factors are fixed, so there is one vote only."
            : "\(name) is 1 by construction: no set of factors got two votes.")
      }
      if smallestGroup < 10 {
        notes.append(
          "\(name) measures variances of as few as \(smallestGroup) rows, for no more have the same values of \(settings.fixed) factors: unless these are all there can be, give more rows."
        )
      }
      return notes
    }
  }

  /// - Complexity: O(votes · (batch · dimensions + `nullDraws`)).
  public func measure(_ table: LabeledCodes) throws(DisentanglementError) -> Result {
    let count = table.factors.names.count
    guard fixed >= 1, fixed <= count else {
      throw DisentanglementError(
        "m-FVM\(fixed) fixes \(fixed) factors, and there are \(count); fix from 1 to \(count).")
    }
    guard batch >= 2, votes >= 1, threshold > 0, nullDraws >= 2 else {
      throw DisentanglementError(
        "m-FVM needs a batch of two rows, a vote, two draws of its null, and a threshold above 0.")
    }
    let active = try table.codes.active(from: threshold)
    guard active.count >= fixed else {
      throw DisentanglementError(
        "m-FVM\(fixed) asks for \(fixed) dimensions, and \(active.count) of \(table.codes.dimensions) are active (of standard deviation \(threshold) at least); fix fewer factors."
      )
    }
    var random = RandomStream(seed: seed, name: "m-fvm/sets")
    let drawn = (0..<votes).map { _ in
      Array((0..<count).shuffled(using: &random).prefix(fixed)).sorted()
    }
    let sets = Set(drawn).sorted { $0.lexicographicallyPrecedes($1) }
    var groups: [[Int]: RowGroups] = [:]
    for set in sets { groups[set] = try RowGroups(table.factors, fixing: set) }
    let cast = Parallel.map(Array(drawn.enumerated())) { [groups] n, set -> [Int] in
      var random = RandomStream(seed: seed, name: "m-fvm/votes/\(n)")
      guard
        let variances = groups[set]?.relativeVariances(
          table.codes, active, batch: batch, using: &random)
      else { return [] }
      return leastVaried(fixed, of: variances, using: &random).sorted()
    }
    var ballots: [[Int]: [[Int]: Int]] = [:]
    for (set, vote) in zip(drawn, cast) { ballots[set, default: [:]][vote, default: 0] += 1 }
    let counted = sets.map { Array((ballots[$0] ?? [:]).values) }
    let sizes = counted.map { $0.reduce(0, +) }
    let shares = zip(counted, sizes).map { Double($0.max() ?? 0) / Double($1) }
    let score = shares.reduce(0, +) / Double(shares.count)
    let null = nullScores(of: sizes, among: binomial(active.count, fixed))
    let mean = null.reduce(0, +) / Double(null.count)
    return Result(
      settings: self, score: score, null: mean, nullDeviation: variance(of: null).squareRoot(),
      adjusted: mean < 1 ? (score - mean) / (1 - mean) : nil, active: active, sets: sets.count,
      smallestGroup: groups.values.map(\.smallest).min() ?? 0)
  }

  /// Scores of random votes: for each set so many, drawn evenly among so many possible ones.
  func nullScores(of sizes: [Int], among possible: Int) -> [Double] {
    Parallel.map(Array(0..<nullDraws)) { n in
      var random = RandomStream(seed: seed, name: "m-fvm/null/\(n)")
      let shares = sizes.map { size -> Double in
        var counts: [Int: Int] = [:]
        for _ in 0..<size { counts[Int.random(in: 0..<possible, using: &random), default: 0] += 1 }
        return Double(counts.values.max() ?? 0) / Double(size)
      }
      return shares.reduce(0, +) / Double(shares.count)
    }
  }
}

/// How many sets of `k` there are among `n`; `Int.max` where that is more.
func binomial(_ n: Int, _ k: Int) -> Int {
  var result = 1
  for i in 0..<min(k, n - k) {
    let (product, isTooLarge) = result.multipliedReportingOverflow(by: n - i)
    guard !isTooLarge else { return .max }
    result = product / (i + 1)
  }
  return result
}
