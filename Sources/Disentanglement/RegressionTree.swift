import TensorCore

/// A regression tree that cuts the sum of squares of its targets most, split by split.
///
/// Among features that cut it equally, as all may in a node of two rows, one is drawn.
struct RegressionTree: Sendable {
  private struct Node {
    /// `nil` in a leaf.
    var split: (feature: Int, threshold: Double)?
    var value = 0.0
  }

  /// The children of node *n* are 2*n* + 1 (at most the threshold) and 2*n* + 2.
  private var nodes: [Node]
  /// How much of the sum of squares the splits of each feature take away.
  private(set) var gains: [Double]

  /// The value of some features, of which `feature` gives one.
  func value(_ feature: (Int) -> Double) -> Double {
    var node = 0
    while let split = nodes[node].split {
      node = 2 * node + (feature(split.feature) <= split.threshold ? 1 : 2)
    }
    return nodes[node].value
  }

  /// Grows a tree.
  ///
  /// - Parameters:
  ///   - features: Of the rows.
  ///   - targets: What the tree is to tell, by row.
  ///   - depth: How many splits lead to a leaf at most.
  ///   - random: What draws among equal features.
  ///   - leaf: Called with the rows of each leaf; it returns the leaf's value.
  init(
    _ features: BinnedFeatures, _ targets: [Double], depth: Int,
    using random: inout RandomStream, leaf: (ArraySlice<Int>) -> Double
  ) {
    nodes = [Node](repeating: Node(), count: 1 << (depth + 1) - 1)
    gains = [Double](repeating: 0, count: features.places.count)
    var order = Array(targets.indices)
    grow(
      0, 0..<order.count, depth, features, targets, &order,
      depth > 0 ? features.histogram(order[...], targets) : [], &random, leaf)
  }

  private mutating func grow(
    _ node: Int, _ range: Range<Int>, _ depth: Int, _ features: BinnedFeatures,
    _ targets: [Double], _ order: inout [Int], _ histogram: [[SIMD2<Double>]],
    _ random: inout RandomStream, _ leaf: (ArraySlice<Int>) -> Double
  ) {
    guard depth > 0, isVaried(order[range], targets),
      let best = RegressionTree.split(histogram, of: range.count, using: &random)
    else {
      nodes[node].value = leaf(order[range])
      return
    }
    let ranges = features.ranges[best.feature]
    let (low, high) = (ranges[best.below].upperBound, ranges[best.above].lowerBound)
    nodes[node].split = (best.feature, low / 2 + high / 2)
    gains[best.feature] += best.gain
    // The order stays: rows are read as they lie in memory.
    let places = features.places[best.feature]
    let rows = Array(order[range])
    let below = rows.filter { Int(places[$0]) <= best.below }
    let middle = range.lowerBound + below.count
    order.replaceSubrange(range, with: below + rows.filter { Int(places[$0]) > best.below })
    let halves = (range.lowerBound..<middle, middle..<range.upperBound)
    var (first, second): ([[SIMD2<Double>]], [[SIMD2<Double>]]) = ([], [])
    if depth > 1 {
      // What is not in the one half is in the other.
      let isFirstSmaller = halves.0.count < halves.1.count
      first = features.histogram(order[isFirstSmaller ? halves.0 : halves.1], targets)
      second = zip(histogram, first).map { whole, part in zip(whole, part).map { $0 - $1 } }
      if !isFirstSmaller { swap(&first, &second) }
    }
    grow(2 * node + 1, halves.0, depth - 1, features, targets, &order, first, &random, leaf)
    grow(2 * node + 2, halves.1, depth - 1, features, targets, &order, second, &random, leaf)
  }

  /// Whether the targets of a node differ.
  private func isVaried(_ rows: ArraySlice<Int>, _ targets: [Double]) -> Bool {
    var (sum, squares) = (0.0, 0.0)
    for row in rows {
      sum += targets[row]
      squares += targets[row] * targets[row]
    }
    let mean = sum / Double(rows.count)
    return squares / Double(rows.count) - mean * mean > .ulpOfOne
  }

  /// The best place to split: between a bin and the next one that is not empty.
  private static func split(
    _ histogram: [[SIMD2<Double>]], of count: Int, using random: inout RandomStream
  ) -> (feature: Int, below: Int, above: Int, gain: Double)? {
    var best: (feature: Int, below: Int, above: Int, gain: Double)?
    for feature in histogram.indices.shuffled(using: &random) {
      let bins = histogram[feature]
      let whole = bins.reduce(.zero, +)
      var (left, last) = (SIMD2<Double>.zero, 0)
      for (bin, sums) in bins.enumerated() where sums.y > 0 {
        if left.y > 0 {
          let right = whole - left
          let difference = right.y * left.x - left.y * right.x
          let gain = difference * difference / (left.y * right.y * Double(count))
          // Sums are differences of others: equal gains are so up to rounding.
          if best.map({ gain > $0.gain * (1 + 1e-9) }) ?? true { best = (feature, last, bin, gain) }
        }
        left += sums
        last = bin
      }
    }
    return best
  }
}
