import Glibc

/// Multinomial logistic regression with a penalty on the squares of its weights, not of its biases.
///
/// The minimum of Σ −log p(label) + |W|² / (2C), divided by the number of rows, found by L-BFGS until no derivative is above
/// 1e-6 (scikit-learn stops at 1e-4), or for 1,000 steps. It is looked for in features of mean 0 and of such a scale
/// that curvatures are near 1, which changes the way there and not the minimum: features may be of any size.
///
/// L-BFGS: Nocedal & Wright, Numerical optimization, algorithm 7.4.
struct LogisticRegression: Sendable {
  /// By class: the weights, and last the bias.
  let weights: [[Double]]

  /// - Throws: `DisentanglementError` where the steps do not come near a minimum.
  init(
    _ features: [[Double]], _ labels: [Int], classes: Int, inversePenalty: Double
  ) throws(DisentanglementError) {
    let width = (features.first?.count ?? 0) + 1
    let penalty = 1 / (inversePenalty * Double(labels.count))
    let columns = (0..<width - 1).map { d in features.map { $0[d] } }
    let means = columns.map { $0.reduce(0, +) / Double(labels.count) }
    let scales = columns.map { (variance(of: $0) + penalty).squareRoot() }
    let objective = Objective(
      features: features.map { row in row.indices.map { (row[$0] - means[$0]) / scales[$0] } },
      labels: labels, classes: classes, penalties: scales.map { penalty / ($0 * $0) })
    var point = [Double](repeating: 0, count: classes * width)
    var (value, gradient) = objective(point)
    var memory: [(step: [Double], change: [Double], rate: Double)] = []
    for _ in 0..<1_000 where (gradient.map(abs).max() ?? 0) > 1e-6 {
      var direction = gradient
      var factors: [Double] = []
      for pair in memory.reversed() {
        factors.append(pair.rate * dot(pair.step, direction))
        add(-(factors.last ?? 0), pair.change, to: &direction)
      }
      if let last = memory.last {
        let scale = 1 / (last.rate * dot(last.change, last.change))
        direction = direction.map { $0 * scale }
      }
      for (pair, factor) in zip(memory, factors.reversed()) {
        add(factor - pair.rate * dot(pair.change, direction), pair.step, to: &direction)
      }
      let slope = -dot(gradient, direction)
      var length = memory.isEmpty ? 1 / max(1, dot(gradient, gradient).squareRoot()) : 1
      var next = point
      var (nextValue, nextGradient) = (Double.infinity, gradient)
      for _ in 0..<60 {
        next = point
        add(-length, direction, to: &next)
        (nextValue, nextGradient) = objective(next)
        if nextValue <= value + 1e-4 * length * slope { break }
        length /= 2
      }
      // No way down that the numbers can tell: this is the minimum.
      guard nextValue < value else { break }
      let (step, change) = (minus(next, point), minus(nextGradient, gradient))
      let curvature = dot(step, change)
      if curvature > 0 { memory.append((step, change, 1 / curvature)) }
      if memory.count > 10 { memory.removeFirst() }
      (point, value, gradient) = (next, nextValue, nextGradient)
    }
    guard value.isFinite, (gradient.map(abs).max() ?? 0) < 1e-3 else {
      throw DisentanglementError(
        "The classifier of z-diff finds no best weights: give more points, or a smaller inverse penalty."
      )
    }
    weights = (0..<classes).map { c in
      let weights = scales.indices.map { point[c * width + $0] / scales[$0] }
      return weights + [point[(c + 1) * width - 1] - dot(weights, means)]
    }
  }

  /// How many rows get their label, as a share.
  func accuracy(_ features: [[Double]], _ labels: [Int]) -> Double {
    let right = zip(features, labels).count { row, label in
      let scores = weights.map { weights in dot(row, weights) + (weights.last ?? 0) }
      return scores.indices.reduce(0) { scores[$1] > scores[$0] ? $1 : $0 } == label
    }
    return Double(right) / Double(labels.count)
  }

  /// What is made small.
  private struct Objective {
    let features: [[Double]]
    let labels: [Int]
    let classes: Int
    /// Of each weight's square.
    let penalties: [Double]

    func callAsFunction(_ point: [Double]) -> (value: Double, gradient: [Double]) {
      let width = point.count / classes
      let share = 1 / Double(labels.count)
      var (value, gradient) = (0.0, [Double](repeating: 0, count: point.count))
      var logits = [Double](repeating: 0, count: classes)
      for (row, label) in zip(features, labels) {
        for c in 0..<classes {
          var sum = point[c * width + width - 1]
          for d in row.indices { sum += row[d] * point[c * width + d] }
          logits[c] = sum
        }
        let largest = logits.max() ?? 0
        let total = logits.reduce(0) { $0 + exp($1 - largest) }
        value += share * (log(total) + largest - logits[label])
        for c in 0..<classes {
          let error = share * (exp(logits[c] - largest) / total - (c == label ? 1 : 0))
          for d in row.indices { gradient[c * width + d] += error * row[d] }
          gradient[c * width + width - 1] += error
        }
      }
      for c in 0..<classes {
        for (d, penalty) in penalties.enumerated() {
          let weight = point[c * width + d]
          value += penalty * weight * weight / 2
          gradient[c * width + d] += penalty * weight
        }
      }
      return (value, gradient)
    }
  }
}

/// The sum of products, over the shorter of two lists.
private func dot(_ a: [Double], _ b: [Double]) -> Double {
  var sum = 0.0
  for n in 0..<min(a.count, b.count) { sum += a[n] * b[n] }
  return sum
}

private func add(_ factor: Double, _ a: [Double], to b: inout [Double]) {
  for n in a.indices { b[n] += factor * a[n] }
}

private func minus(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { $0 - $1 } }
