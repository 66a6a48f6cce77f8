import Glibc
import TensorCore

/// Gradient-boosted trees that tell classes: each round adds a tree per class, fitted to what is still wrong.
///
/// Multinomial deviance (binomial, with one tree a round, of two classes), no subsampling, leaves by one Newton step. With as many
/// bins as there are different numbers it is scikit-learn's `GradientBoostingClassifier`, up to which of equally good features is drawn.
///
/// Friedman: Greedy function approximation, Annals of Statistics 29 (2001).
struct BoostedTrees: Sendable {
  struct Settings: Codable, Sendable {
    /// How many trees a class has.
    var rounds: Int
    var learningRate: Double
    var depth: Int
    var bins: Int
  }

  private let classes: [Int]
  private let start: [Double]
  private let learningRate: Double
  /// By round, a tree for each class; a single one of two classes.
  private let rounds: [[RegressionTree]]

  /// - Parameters:
  ///   - columns: The features, each by row.
  ///   - labels: The class of each row.
  init(_ columns: [[Double]], _ labels: [Int], _ settings: Settings, seed: UInt64) {
    var random = RandomStream(seed: seed, name: "boosted-trees")
    let classes = Set(labels).sorted()
    let shares = classes.map { label in
      Double(labels.count { $0 == label }) / Double(labels.count)
    }
    // Of two classes the score is that of the second, and the other's is 0.
    let start =
      classes.count == 2 ? [log(shares[1] / shares[0])] : shares.map { log($0) }
    let features = BinnedFeatures(columns, bins: settings.bins)
    let share = classes.count == 2 ? 1 : Double(classes.count - 1) / Double(classes.count)
    let goals = classes.suffix(start.count).map { label in
      labels.map { $0 == label ? 1.0 : 0.0 }
    }
    var scores = start.map { [Double](repeating: $0, count: labels.count) }
    var rounds: [[RegressionTree]] = []
    for _ in 0..<settings.rounds {
      let probabilities = BoostedTrees.probabilities(scores)
      rounds.append(
        goals.indices.map { c in
          let (goal, probability) = (goals[c], probabilities[c])
          let residuals = goal.indices.map { goal[$0] - probability[$0] }
          return RegressionTree(features, residuals, depth: settings.depth, using: &random) {
            rows in
            var (slope, curvature) = (0.0, 0.0)
            for row in rows {
              slope += residuals[row]
              curvature += probability[row] * (1 - probability[row])
            }
            let value = curvature < 1e-150 ? 0 : share * slope / curvature
            for row in rows { scores[c][row] += settings.learningRate * value }
            return value
          }
        })
    }
    (self.classes, self.start, self.rounds) = (classes, start, rounds)
    learningRate = settings.learningRate
  }

  /// By class and row; of two classes those of the second.
  private static func probabilities(_ scores: [[Double]]) -> [[Double]] {
    guard scores.count > 1 else { return [scores[0].map { 1 / (1 + exp(-$0)) }] }
    var probabilities = scores
    for row in scores[0].indices {
      var largest = -Double.infinity
      for c in scores.indices { largest = max(largest, scores[c][row]) }
      var total = 0.0
      for c in scores.indices {
        probabilities[c][row] = exp(scores[c][row] - largest)
        total += probabilities[c][row]
      }
      for c in scores.indices { probabilities[c][row] /= total }
    }
    return probabilities
  }

  /// How much of what is still wrong the splits of each feature take away, in shares of 1; all 0 where nothing splits.
  var importances: [Double] {
    let trees = rounds.flatMap { $0 }
    let gains = trees.reduce(into: [Double](repeating: 0, count: trees.first?.gains.count ?? 0)) {
      for (feature, gain) in $1.gains.enumerated() { $0[feature] += gain }
    }
    let total = gains.reduce(0, +)
    return total > 0 ? gains.map { $0 / total } : gains
  }

  /// The likeliest class, the first of equal ones.
  func label(_ feature: (Int) -> Double) -> Int {
    var scores = start
    for round in rounds {
      for c in scores.indices { scores[c] += learningRate * round[c].value(feature) }
    }
    if scores.count == 1 { return classes[scores[0] > 0 ? 1 : 0] }
    return classes[scores.indices.reduce(0) { scores[$1] > scores[$0] ? $1 : $0 }]
  }
}
